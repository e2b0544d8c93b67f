"""Cholec80 and CholecT50, and the patients they share with each other and m2cai16."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from clipassistnet.data import annotation, dataset, folds, importers
from clipassistnet.data.importers import boxes as tool_boxes
from clipassistnet.data.importers import cholec80, cholect50, m2cai16, tool_lists
from test_importers import made_up
from tiny_videos import encode

HEADER = "Frame\tGrasper\tBipolar\tHook\tScissors\tClipper\tIrrigator\tSpecimenBag"
SECONDS, LENGTH = 20, 490  # The last second of the tiny video is not whole.
CLIPPED = (9, 10)
# v04 of m2cai16-tool-locations and VID70 are the same operation, in pictures of this size.
WIDTH, HEIGHT = 612, 344
CATEGORIES = {
    "instrument": {"0": "grasper", "4": "clipper"},
    "verb": {"1": "retract", "4": "clip"},
    "target": {"0": "gallbladder", "2": "cystic_duct"},
    "triplet": {"17": "grasper,retract,gallbladder", "79": "clipper,clip,cystic_duct"},
}
GRASPER = [17, 0, 1.0, 0.25, 0.25, 0.5, 0.5, 1, 0, 1.0, -1.0, -1.0, -1.0, -1.0, 1]
CLIPPER = [79, 4, 1.0, 0.5, 0.5, 0.52, 0.25, 4, 2, 1.0, -1.0, -1.0, -1.0, -1.0, 2]


def video_of(path: Path, length: int) -> None:
    """A video as long as this many frames at 25 a second, of two pictures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    encode(path, 2, pts=[0, length - 1])


@pytest.fixture
def videos80(tmp_path) -> Path:
    """Cholec80's published layout with one tiny video, of the same operation as VID70."""
    folder = tmp_path / "cholec80"
    video_of(folder / "videos" / "video70.mp4", LENGTH)
    rows = [f"{25 * s}\t1\t0\t0\t0\t{int(s in CLIPPED)}\t0\t0" for s in range(SECONDS)]
    write(folder / "tool_annotations" / "video70-tool.txt", [HEADER, *rows])
    names = ["Preparation"] * 200 + ["ClippingCutting"] * 100 + ["GallbladderDissection"] * 190
    rows = [f"{frame}\t{name}" for frame, name in enumerate(names)]
    write(folder / "phase_annotations" / "video70-phase.txt", ["Frame\tPhase", *rows])
    return folder


@pytest.fixture
def pictures50(tmp_path) -> Path:
    """CholecT50's layout with one tiny video; second 3 is not labelled."""
    folder = tmp_path / "cholect50"
    rows = {str(s): [CLIPPER] if s in CLIPPED else [GRASPER] for s in range(SECONDS)}
    del rows["3"]
    rows["19"] = []
    content = {"video": 70, "fps": 1, "num_frames": SECONDS, "categories": CATEGORIES}
    write(folder / "labels" / "VID70.json", [json.dumps(content | {"annotations": rows})])
    write_pictures(folder, range(SECONDS))
    return folder


def write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def write_pictures(folder: Path, seconds) -> None:
    pictures = folder / "videos" / "VID70"
    pictures.mkdir(parents=True)
    Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "blank.png")
    for second in seconds:
        (pictures / f"{second:06d}.png").hardlink_to(folder / "blank.png")


@pytest.fixture
def real50(shared, tmp_path) -> Path:
    """The real labels of VID70, with blank pictures of the seconds that are labelled."""
    folder = tmp_path / "cholect50"
    (folder / "labels").mkdir(parents=True)
    shutil.copy(shared / "data" / "cholect50" / "VID70.json", folder / "labels")
    content = json.loads((folder / "labels" / "VID70.json").read_text())
    write_pictures(folder, map(int, content["annotations"]))
    return folder


def problems(read: Callable, folder: Path) -> str:
    with pytest.raises(dataset.DatasetError) as error:
        read(folder)
    return str(error.value)


def edit(path: Path, change: Callable[[list[str]], None]) -> None:
    lines = path.read_text().splitlines()
    change(lines)
    write(path, lines)


def edit_json(folder: Path, change: Callable[[dict], object]) -> None:
    path = folder / "labels" / "VID70.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def frames_of(table: pd.DataFrame) -> list[int]:
    return table["frame"].tolist()


def test_cholec80_becomes_a_dataset(videos80, tmp_path):
    imported = cholec80.read(videos80)
    data = importers.save(imported, tmp_path / "out")
    row = data.videos.iloc[0]
    assert (row["video"], row["patient"], row["frames"]) == ("video70", "cholec80_70", LENGTH)
    assert data.path("video70") == str(videos80 / "videos" / "video70.mp4")
    near = range(CLIPPED[0] - tool_lists.MARGIN, CLIPPED[1] + tool_lists.MARGIN + 1)
    assert frames_of(imported.to_annotate) == [25 * s for s in near]
    listed = imported.to_annotate[imported.to_annotate["listed"] == 1]
    assert frames_of(listed) == [225, 250]
    assert frames_of(data.annotations) == [25 * s for s in range(SECONDS) if s not in near]
    assert set(data.annotations["label"]) == {"absent"}
    assert data.phases.iloc[:, 1:].to_numpy().tolist() == [
        [0, 200, "Preparation"],
        [200, 300, "ClippingCutting"],
        [300, 490, "GallbladderDissection"],
    ]


def test_the_real_tool_list_of_video03(shared, tmp_path):
    shutil.copy(shared / "data" / "cholec80" / "video03-tool.txt", tmp_path)
    video_of(tmp_path / "video03.mp4", 145_690)
    imported = cholec80.read(tmp_path)
    assert imported.notes == ["no phases: video03"]
    listed = imported.to_annotate["listed"] == 1
    # One run of 69 seconds, in which one is not listed; five more on either side are near.
    assert frames_of(imported.to_annotate) == list(range(111_475, 113_426, 25))
    assert frames_of(imported.to_annotate[listed]) == [
        f for f in range(111_600, 113_301, 25) if f != 112_050
    ]
    assert len(imported.annotations) + len(imported.to_annotate) == 5828


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda t: t.append("500\t0\t0\t0\t0\t0\t0\t0"),
            "21 rows, but the video of 490 frames has",
        ),
        (lambda t: t.pop(), "19 rows, but the video of 490 frames has 20"),
        (lambda t: t.pop(3), "video70-tool.txt:4: Frame 75 (expected 50)"),
        (lambda t: t.insert(3, t[3]), "video70-tool.txt:5: Frame 50 (expected 75)"),
        (lambda t: t.pop(1), "video70-tool.txt:2: Frame 25 (expected 0)"),
        (lambda t: t.pop(0), "video70-tool.txt:1: header '0,1,0"),
        (
            lambda t: t.__setitem__(0, t[0].replace("Clipper\tIrrigator", "Irrigator\tClipper")),
            "(expected, in this order: Frame, Grasper, Bipolar, Hook, Scissors, Clipper, Irrigator",
        ),
        (
            lambda t: t.__setitem__(5, "1\t" + t[5]),
            "video70-tool.txt:6: 9 cells (expected 8 as in the header)",
        ),
        (
            lambda t: t.__setitem__(5, "1\t0\t0\t0\t0\t0\t0\t100"),
            "video70-tool.txt:6: SpecimenBag '100'",
        ),
    ],
)
def test_a_damaged_or_shifted_tool_list_is_refused(videos80, change, expected):
    edit(videos80 / "tool_annotations" / "video70-tool.txt", change)
    assert expected in problems(cholec80.read, videos80)


def test_one_extra_frame_of_the_video_is_refused(videos80):
    video_of(videos80 / "videos" / "video70.mp4", LENGTH + 1)
    found = problems(cholec80.read, videos80)
    assert "video70-phase.txt: 490 rows, but the video of 491 frames has 491" in found


def test_one_extra_phase_row_is_refused(videos80):
    edit(
        videos80 / "phase_annotations" / "video70-phase.txt",
        lambda t: t.append("490\tGallbladderRetraction"),
    )
    assert "491 rows, but the video of 490 frames has 490" in problems(cholec80.read, videos80)


def test_every_problem_of_every_video_is_named_and_other_videos_can_be_imported(videos80, tmp_path):
    shutil.copy(videos80 / "videos" / "video70.mp4", videos80 / "videos" / "video71.mp4")
    (videos80 / "videos" / "video72.mp4").write_bytes(b"")
    (videos80 / "tool_annotations" / "video72-tool.txt").write_text(HEADER + "\n")
    found = problems(cholec80.read, videos80)
    assert "no video71-tool.txt" in found
    assert "video72.mp4: the file is empty" in found
    assert len(cholec80.read(videos80, ["video70"]).videos) == 1
    shutil.copy(videos80 / "videos" / "video70.mp4", videos80)
    assert "video70.mp4: found twice" in problems(cholec80.read, videos80)


def test_cholect50_becomes_a_dataset(pictures50, tmp_path):
    imported = cholect50.read(pictures50)
    data = importers.save(imported, tmp_path / "out")
    row = data.videos.iloc[0]
    assert (row["video"], row["patient"], row["frames"]) == ("VID70", "cholec80_70", SECONDS)
    assert frames_of(data.annotations) == [0, 1, 2, 16, 17, 18, 19]
    assert frames_of(imported.to_annotate) == list(range(4, 16))
    boxes = data.boxes.set_index("frame")
    assert boxes.loc[0].tolist() == ["VID70", "Grasper", 153, 86, 459, 258]
    assert boxes.loc[9].tolist() == ["VID70", "Clipper", 306, 172, 612, 258]
    assert any(note.startswith("2 of 18 boxes reached outside") for note in imported.notes)
    assert data.phases.iloc[:, 1:].to_numpy().tolist() == [
        [0, 3, "CalotTriangleDissection"],
        [4, 9, "CalotTriangleDissection"],
        [9, 11, "ClippingCutting"],
        [11, 19, "CalotTriangleDissection"],
    ]


def test_a_missing_second_is_unlabelled_not_negative(pictures50):
    imported = cholect50.read(pictures50)
    assert "VID70: 1 of 20 seconds are unlabelled: left out, not taken as negative" in (
        imported.notes
    )
    for table in (imported.annotations, imported.to_annotate, imported.boxes):
        assert 3 not in frames_of(table)
    edit_json(pictures50, lambda c: c["annotations"].pop("10"))
    again = cholect50.read(pictures50)
    assert 10 not in frames_of(again.annotations) + frames_of(again.to_annotate)
    assert frames_of(again.annotations) == [0, 1, 2, 15, 16, 17, 18, 19]


def test_the_real_labels_of_vid70(real50, tmp_path):
    imported = cholect50.read(real50)
    data = importers.save(imported, tmp_path / "out")
    listed = imported.to_annotate[imported.to_annotate["listed"] == 1]
    assert (len(listed), len(data.boxes)) == (25, 196)
    assert len(data.annotations) + len(imported.to_annotate) == 164
    assert "VID70: 1010 of 1174 seconds are unlabelled: left out, not taken as negative" in (
        imported.notes
    )


def test_vid70_and_v04_are_one_operation_box_by_box(shared, real50):
    ours = m2cai16.read(shared / "data" / m2cai16.NAME, videos=["v04"])
    theirs = cholect50.read(real50)
    assert ours.videos["patient"].tolist() == theirs.videos["patient"].tolist()
    boxes = theirs.boxes.assign(video="v04", frame=theirs.boxes["frame"] * 25)
    boxes[tool_boxes.CORNERS] = boxes[tool_boxes.CORNERS].round(6)
    same = boxes.merge(ours.boxes, on=list(ours.boxes.columns))
    assert len(same) == len(boxes) == 196


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda c: c["annotations"].update({"20": [GRASPER]}),
            "no picture of the labelled seconds",
        ),
        (lambda c: c.update(num_frames=18), "19 labelled seconds, num_frames 18"),
        (lambda c: c.update(video=71), "[71, 1, 'clipper'] (expected [70, 1, 'clipper'])"),
        (lambda c: c.update(fps=25), "[70, 25, 'clipper']"),
        (lambda c: c["annotations"].update({"03": [GRASPER]}), "second '03' (expected a whole"),
        (lambda c: c["annotations"].update({"3": [GRASPER[:-1]]}), "second 3: [17, 0"),
        (lambda c: c["annotations"].update({"3": [[*GRASPER[:-1], None]]}), "expected 15 numbers"),
        (
            lambda c: c["annotations"].update({"3": [[*GRASPER[:-1], 7]]}),
            "column 14 is 7 (expected an id from -1 to 6)",
        ),
        (
            lambda c: c["annotations"].update({"3": [[17, 0, 1.0, 80, 60, 9, 9, *GRASPER[7:]]]}),
            "box [80, 60, 9, 9] (expected shares of the picture",
        ),
        (lambda c: c["annotations"].update({"3": [GRASPER, CLIPPER]}), "second 3: phases {1, 2}"),
        (lambda c: c.pop("categories"), "not a label file of CholecT50: KeyError('categories')"),
    ],
)
def test_damaged_cholect50_labels_are_refused(pictures50, change, expected):
    edit_json(pictures50, change)
    assert expected in problems(cholect50.read, pictures50)


@pytest.mark.parametrize(("one", "other"), [(7, 8), (0, 1), (1, 7), (2, 7), (8, 14)])
def test_columns_in_a_wrong_order_are_refused(real50, one, other):
    def swap(content):
        for rows in content["annotations"].values():
            for row in rows:
                row[one], row[other] = row[other], row[one]

    edit_json(real50, swap)
    assert "VID70.json: second 8" in problems(cholect50.read, real50)


def test_a_shift_between_labels_and_pictures_is_refused(real50):
    pictures = real50 / "videos" / "VID70"
    shutil.copy(pictures / "000008.png", pictures / "001174.png")
    assert "165 pictures, num_frames is 164" in problems(cholect50.read, real50)
    (pictures / "001174.png").unlink()
    edit_json(
        real50,
        lambda c: c.update(annotations={str(int(s) + 1): r for s, r in c["annotations"].items()}),
    )
    assert "no picture of the labelled seconds 9, 17, 24" in problems(cholect50.read, real50)


def test_a_shift_is_seen_where_pictures_run_from_the_first_second(real50):
    """VID70's labels are sparse, up to second 1173: more pictures than those are a shift."""
    pictures = real50 / "videos" / "VID70"
    for second in range(1174):
        if not (pictures / f"{second:06d}.png").exists():
            (pictures / f"{second:06d}.png").symlink_to(pictures / "000008.png")
    cholect50.read(real50)
    (pictures / "001174.png").symlink_to(pictures / "000008.png")
    found = problems(cholect50.read, real50)
    assert "1175 pictures, num_frames is 164, the last labelled second 1173" in found
    (pictures / "001174.png").unlink()
    edit_json(
        real50,
        lambda c: c.update(annotations={str(int(s) - 1): r for s, r in c["annotations"].items()}),
    )
    found = problems(cholect50.read, real50)
    assert "1174 pictures, num_frames is 164, the last labelled second 1172" in found


def test_corners_in_the_place_of_widths_are_refused(pictures50):
    def corners(content):
        for rows in content["annotations"].values():
            for row in rows:
                if row[3:7] != [-1] * 4:
                    row[3:7] = [0.7, 0.7, 0.9, 0.9]

    edit_json(pictures50, corners)
    assert "at most 5% of its side outside" in problems(cholect50.read, pictures50)


def test_one_extra_picture_is_refused(pictures50):
    pictures = pictures50 / "videos" / "VID70"
    shutil.copy(pictures / "000019.png", pictures / "000020.png")
    assert "21 pictures, num_frames is 20" in problems(cholect50.read, pictures50)
    # Numbered from 1, as ffmpeg does it: as many pictures, all of them shifted.
    (pictures / "000000.png").unlink()
    assert "no picture of the labelled seconds 0" in problems(cholect50.read, pictures50)


def test_hostile_picture_names_are_skipped_and_named(pictures50):
    pictures = pictures50 / "videos" / "VID70"
    for name in ("000010 (1).png", "10.png", "00001٠.png", "-00010.png"):
        shutil.copy(pictures / "000010.png", pictures / name)
    notes = cholect50.read(pictures50).notes
    assert "4 files skipped" in notes[0]
    assert "'000010 (1).png'" in notes[0]
    (pictures / "000010.png").unlink()
    found = problems(cholect50.read, pictures50)
    assert "no picture of the labelled seconds 10" in found
    assert "'000010 (1).png'" in found


def test_an_operation_of_an_unknown_patient_is_refused(pictures50):
    for path in (pictures50 / "labels" / "VID70.json", pictures50 / "videos" / "VID70"):
        path.rename(path.with_name(path.name.replace("70", "71")))
    assert "VID71: the patient is unknown" in problems(cholect50.read, pictures50)


def test_hostile_names_of_cholec80_are_named(videos80):
    (path,) = videos80.rglob("video70-tool.txt")
    shutil.copy(path, path.with_name("video70-tool (1).txt"))
    path.with_name("video70-timestamp.txt").write_text("comes with the data set")
    (note,) = (n for n in cholec80.read(videos80).notes if "skipped" in n)
    assert note.endswith("1 file skipped, not named like video01-tool.txt: 'video70-tool (1).txt'")
    path.unlink()
    found = problems(cholec80.read, videos80)
    assert "no video70-tool.txt" in found
    assert "'video70-tool (1).txt'" in found


def test_the_leakage_gate_sees_one_patient_across_data_sets(videos80, pictures50, tmp_path):
    sources = [
        m2cai16.read(made_up(tmp_path / "m2cai16")),
        cholec80.read(videos80),
        cholect50.read(pictures50),
    ]
    data = [importers.save(each, tmp_path / f"out{n}") for n, each in enumerate(sources)]
    videos = pd.concat([each.videos for each in data])
    labels = pd.concat([annotation.consensus(each.annotations) for each in data])
    # Two more patients, so that the other fold has some too.
    other = pd.DataFrame({"video": ["w1", "w1", "w2", "w2"], "frame": [0, 1, 0, 1]})
    other = other.assign(label=["visible", "invisible"] * 2, training_label="visible")
    more = pd.DataFrame({"video": ["w1", "w2"], "patient": ["w1", "w2"], "split": ""})
    labels, videos = pd.concat([labels, other]), pd.concat([videos, more])
    made = folds.make(labels, videos, 2, test_share=0, seed=0).set_index("video")
    one = ["v04", "video70", "VID70"]
    assert set(made.loc[one, "patient"]) == {"cholec80_70"}
    assert made.loc[one, "subset"].nunique() == 1
    for video in one:
        moved = made.copy()
        moved.loc[video, "subset"] = str(1 - int(made.loc[video, "subset"]))
        with pytest.raises(folds.LeakageError, match="patient cholec80_70: in the subsets 0, 1"):
            folds.check(moved.reset_index(), labels)


def test_pictures_of_unlike_sizes_give_boxes_in_their_own_pixels(pictures50):
    path = pictures50 / "videos" / "VID70" / "000000.png"
    path.unlink()
    Image.fromarray(np.zeros((40, 80, 3), np.uint8)).save(path)
    boxes = cholect50.read(pictures50).boxes.set_index("frame")
    assert boxes.loc[0, tool_boxes.CORNERS].tolist() == [20, 10, 60, 30]
    assert boxes.loc[1, tool_boxes.CORNERS].tolist() == [153, 86, 459, 258]
    path.write_bytes(b"no picture")
    assert "000000.png: unreadable picture" in problems(cholect50.read, pictures50)


@pytest.mark.parametrize("kind", ["commas", "utf-16"])
def test_another_format_of_a_tool_list_is_one_problem(videos80, kind):
    path = videos80 / "tool_annotations" / "video70-tool.txt"
    text = path.read_text()
    path.write_bytes(text.replace("\t", ",").encode() if kind == "commas" else text.encode(kind))
    with pytest.raises(dataset.DatasetError) as error:
        cholec80.read(videos80)
    (found,) = error.value.problems
    cause = {"commas": "cells separated by commas", "utf-16": "the file is UTF-16"}[kind]
    assert f"video70-tool.txt:1: {cause}" in found


def test_a_folder_whose_name_is_not_utf8_is_named(videos80):
    folder = Path(os.fsdecode(os.fsencode(videos80.parent) + b"/vid\xe9os"))
    shutil.copytree(videos80, folder)
    with pytest.raises(dataset.DatasetError, match=r"vid\\udce9os'.*not UTF-8"):
        cholec80.read(folder)
    inner = videos80 / "deep"
    folder.rename(videos80.parent / "plain")
    (videos80.parent / "plain").rename(Path(os.fsdecode(os.fsencode(inner) + b"\xe9")))
    shutil.rmtree(videos80 / "videos")
    with pytest.raises(dataset.DatasetError, match=r"deep\\udce9.*not UTF-8"):
        cholec80.read(videos80)
