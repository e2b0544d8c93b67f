"""Labels in COCO's JSON format: on the right frames, or refused."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from clipassistnet.__main__ import main
from clipassistnet.data import dataset
from clipassistnet.data.importers import coco
from test_importers_cvat import folder, labels, pictures, video
from tiny_videos import encode

__all__ = ["folder", "pictures", "video"]  # Fixtures, which pytest finds here.
CATEGORIES = ("visible", "invisible", "absent", "clipper", "Grasper")


def content(*shown: tuple) -> dict:
    """One picture and one annotation for each (file name, category, attributes)."""
    names = list(dict.fromkeys(name for name, *_ in shown))
    return {
        "info": {},
        "images": [
            {"id": 7 + number, "file_name": name, "width": 64, "height": 48}
            for number, name in enumerate(names)
        ],
        "annotations": [
            {
                "id": number,
                "image_id": 7 + names.index(name),
                "category_id": 1 + CATEGORIES.index(category),
                "bbox": [1, 2, 3, 4],
                "attributes": rest[0] if rest else {},
            }
            for number, (name, category, *rest) in enumerate(shown)
        ],
        "categories": [{"id": 1 + number, "name": name} for number, name in enumerate(CATEGORIES)],
    }


def write(path: Path, body: object) -> Path:
    path.write_text(json.dumps(body), encoding="utf-8")
    return path


def problems(folder: Path, *exports: Path, **options) -> str:
    with pytest.raises(dataset.DatasetError) as error:
        coco.merge(folder, list(exports), "A", **options)
    assert not (folder / "annotations.csv").exists()
    return str(error.value)


def test_pictures_are_found_by_their_names(pictures, tmp_path):
    body = content(
        ("v04_000050.jpg", "visible", {"confidence": 3}),
        ("v04_000050.jpg", "Grasper"),
        ("/somewhere/JPEGImages/v04_000075.jpg", "clipper", {"tip": "invisible", "cause": "blur"}),
    )
    export = write(tmp_path / "a.json", body)
    data, notes = coco.merge(pictures, [export], "D")
    mine = data.annotations[data.annotations["annotator"] == "D"]
    found = {frame: row for frame, *row in mine[["frame", "label", "cause"]].to_numpy().tolist()}
    assert found[50][0] == "visible"
    assert found[75] == ["invisible", "blur"]
    assert notes[0] == f"{export}: 2 frames labelled"
    assert f"{export}: no tip labels, left out: 1 of 'Grasper'" in notes


@pytest.mark.parametrize("name", ["v01/frame_{:06d}.png", "v01_{:06d}.jpg", "x/v01_frame-{}.PNG"])
def test_numbered_pictures_of_a_video_file(folder, tmp_path, name):
    body = content((name.format(3), "visible"), (name.format(39), "invisible"))
    export = write(tmp_path / "a.json", body)
    data, notes = coco.merge(folder, [export], "A")
    assert labels(data) == {3: "visible", 39: "invisible"}
    assert notes[1].endswith("v01: numbers in the pictures' names count the video's frames from 0, "
                             "at its own rate")  # fmt: skip


def test_numbers_alone_need_the_video(folder, tmp_path):
    export = write(tmp_path / "a.json", content(("images/000003.png", "visible")))
    assert "images/000003.png: name fits no video" in problems(folder, export)
    data, _ = coco.merge(folder, [export], "A", video="v01")
    assert labels(data) == {3: "visible"}


def test_pictures_numbered_from_one_are_refused(folder, tmp_path):
    export = write(tmp_path / "a.json", content(("v01_000040.png", "visible")))
    expected = (
        "number 40 (expected one of the frames 0 to 39 of video v01: is 1 the first picture?)"
    )
    assert expected in problems(folder, export)


def test_numbered_pictures_of_a_variable_rate_are_refused(folder, tmp_path):
    held = encode(tmp_path / "held.mp4", 39, pts=[*range(20), *range(21, 40)])
    (folder / "videos.csv").write_text(f"video,path,patient,fps\nv01,{held.as_posix()},p1,25\n")
    export = write(tmp_path / "a.json", content(("v01_000003.png", "visible")))
    assert "not 25 frames a second throughout" in problems(folder, export)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (("v01_3.png", "clipper", {"tip": "yes"}), "annotations[0], v01_3.png: label 'yes' (exp"),
        (("v01_3.png", "invisible", {"cause": "fog"}), "cause 'fog' (expected one of "),
        (("v02_3.png", "visible"), "name fits no video"),
        (("v01_3 (1).png", "visible"), "name fits none"),
        (("v01_3.png", "Grasper"), "no tip label (expected labels visible, invisible or absent); "
                                   "found 1 of 'Grasper'"),
    ],
)  # fmt: skip
def test_labels_that_cannot_be_are_refused(folder, tmp_path, shown, expected):
    assert expected in problems(folder, write(tmp_path / "a.json", content(shown)))


def test_two_labels_of_a_picture_are_refused(folder, tmp_path):
    body = content(("v01_3.png", "visible"), ("v01_3.png", "invisible"))
    found = problems(folder, write(tmp_path / "a.json", body))
    assert "v01, frame 3: visible   and invisible   (expected one label a frame)" in found


def change(**changes) -> dict:
    return content(("v01_3.png", "visible")) | changes


IMAGE = {"id": 7, "file_name": "v01_3.png"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ([{"image_id": 7, "score": 0.5}], "found list (expected COCO's images, annotations, cat"),
        ({"images": []}, "found images (expected COCO's"),
        (change(images={}), "the file: images: {} (expected a list)"),
        (change(images=[IMAGE, IMAGE]), "images[1]: id 7 a second time"),
        (change(images=[{"id": "7"}]), 'images[0]: id: "7" (expected a whole number)'),
        (change(images=[{"id": True}]), "images[0]: id: true (expected a whole number)"),
        (change(images=[{"id": 7}]), "images[0]: no 'file_name' (expected a text)"),
        (change(images=[]), "annotations[0]: image_id 7 (expected the id of one of 0)"),
        (change(categories=[]), "annotations[0]: category_id 1 (expected the id of one of 0)"),
        (change(annotations=[3]), "annotations[0]: 3 (expected a mapping)"),
    ],
)  # fmt: skip
def test_other_structures_are_refused(folder, tmp_path, body, expected):
    export = write(tmp_path / "a.json", body)
    found = problems(folder, export)
    assert str(export) in found
    assert expected in found


def test_files_that_are_no_json_are_refused(folder, tmp_path):
    path = tmp_path / "a.json"
    for raw in (b"", b"{", b"\xff\xfe{\x00", b"[" * 100_000):
        path.write_bytes(raw)
        assert "a.json: not an export of COCO's format" in problems(folder, path)
    assert "not an export of COCO's format" in problems(folder, tmp_path / "nowhere.json")


def test_a_zip_at_the_command_line(folder, tmp_path, capsys):
    body = json.dumps(content(("v01_3.png", "visible")))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("annotations/instances_default.json", "\ufeff" + body)
    options = ["--dataset", str(folder), "--annotator", "A"]
    assert main(["import", "coco", str(tmp_path / "a.zip"), *options]) == 0
    assert "1 frames labelled" in capsys.readouterr().out
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as archive:
        archive.writestr("second.json", body)
    assert main(["import", "coco", str(tmp_path / "a.zip"), *options]) == 1
    assert "2 .json files in it, expected one" in capsys.readouterr().err


def test_a_folder_of_another_video_is_not_overlooked(tmp_path):
    for name in ("VID01", "VID02"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "000030.png").touch()
    (tmp_path / "videos.csv").write_text(
        "video,path,patient\n"
        + "".join(f"{name},{name}/{{frame:06d}}.png,{name}\n" for name in ("VID01", "VID02"))
    )
    export = write(tmp_path / "a.json", content(("set/VID02/000030.png", "visible")))
    with pytest.warns(dataset.DatasetWarning):
        data, _ = coco.merge(tmp_path, [export], "A")
    assert data.annotations["video"].tolist() == ["VID02"]
    (tmp_path / "annotations.csv").unlink()
    for name, fits in (("VID03/000030.png", "none"), ("000030.png", "the videos VID01, VID02")):
        export = write(tmp_path / "a.json", content((name, "visible")))
        with pytest.warns(dataset.DatasetWarning):
            assert f"name fits {fits}" in problems(tmp_path, export)
