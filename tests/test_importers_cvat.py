"""Labels made in CVAT: on the right frames, or refused."""

import zipfile
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest

from clipassistnet.__main__ import main
from clipassistnet.data import dataset, importers
from clipassistnet.data.importers import cholec80, cvat, m2cai16
from test_importers import made_up
from test_importers_cholec import videos80
from tiny_videos import FRAMES, encode

__all__ = ["videos80"]  # A fixture, which pytest finds here.
BOX = 'xtl="8.00" ytl="4.00" xbr="40.50" ybr="44.00" z_order="0"'
VIDEOS = "video,path,patient,split,fps,frames,clipper,source,licence\n"


def shape(attributes: dict[str, str], tag: str = "box", **given: str) -> str:
    opening = " ".join(f"{name}={quoteattr(value)}" for name, value in given.items())
    inner = "".join(f'<attribute name="{n}">{v}</attribute>' for n, v in attributes.items())
    return f"<{tag} {opening} {BOX if tag == 'box' else ''}>{inner}</{tag}>"


def write_export(path: Path, body: str, **task: object) -> Path:
    meta = "".join(f"<{name}>{value}</{name}>" for name, value in task.items())
    path.write_text(
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>'
        f"<meta><task><id>5</id>{meta}</task><dumped>2026</dumped></meta>{body}</annotations>"
    )
    return path


def video_export(path: Path, body: str, **task: object) -> Path:
    """Of a task that shows the whole of v01.mp4, unless the arguments say otherwise."""
    whole = {"size": FRAMES, "mode": "interpolation", "start_frame": 0, "stop_frame": FRAMES - 1}
    whole |= {"frame_filter": "", "source": "v01.mp4"}
    return write_export(path, body, **whole | task)


def track(labels: dict[int, str], **also: str) -> str:
    """Boxes around a clip applier with the attribute tip, and the one that ends the track."""
    boxes = [
        shape({"tip": label, **also}, frame=str(frame), outside="0", keyframe="1")
        for frame, label in labels.items()
    ]
    boxes.append(shape({"tip": "visible"}, frame=str(max(labels) + 1), outside="1", keyframe="1"))
    return f'<track id="0" label="clipper" source="manual">{"".join(boxes)}</track>'


def image(name: str, *tags: str) -> str:
    return f'<image id="0" name={quoteattr(name)} width="64" height="48">{"".join(tags)}</image>'


def tag(label: str, **attributes: str) -> str:
    return shape(attributes, "tag", label=label, source="manual")


@pytest.fixture(scope="session")
def video(tmp_path_factory) -> Path:
    return encode(tmp_path_factory.mktemp("cvat") / "v01.mp4")


@pytest.fixture
def folder(tmp_path, video) -> Path:
    """A dataset folder with one video, which has no annotations."""
    (tmp_path / "data").mkdir()
    row = f"v01,{video.as_posix()},p1,,25,{FRAMES},metal,tests,Apache-2.0\n"
    (tmp_path / "data" / "videos.csv").write_text(VIDEOS + row)
    return tmp_path / "data"


@pytest.fixture
def pictures(tmp_path) -> Path:
    """A dataset folder of image files: those of the made-up m2cai16-tool-locations."""
    source = made_up(tmp_path / "source")
    importers.save(m2cai16.read(source), tmp_path / "data")
    return tmp_path / "data"


def problems(folder: Path, *exports: Path, annotator: str = "A", **options) -> str:
    before = {path: path.read_bytes() for path in folder.rglob("*.csv")}
    with pytest.raises(dataset.DatasetError) as error:
        cvat.merge(folder, list(exports), annotator, **options)
    assert {path: path.read_bytes() for path in folder.rglob("*.csv")} == before
    return str(error.value)


def labels(data: dataset.Dataset, annotator: str = "A") -> dict[int, str]:
    rows = data.annotations[data.annotations["annotator"] == annotator]
    return dict(zip(rows["frame"], rows["label"], strict=True))


def test_a_video_task_becomes_annotations(folder, tmp_path):
    body = track({3: "visible", 4: "invisible", 39: "invisible"}, confidence="2")
    export = video_export(tmp_path / "a.xml", body)
    data, notes = cvat.merge(folder, [export], "A")
    assert labels(data) == {3: "visible", 4: "invisible", 39: "invisible"}
    assert data.annotations["confidence"].tolist() == [2, 2, 2]
    assert notes == [f"{export}: 3 frames labelled"]


def test_a_zip_and_several_annotators(folder, tmp_path):
    export = video_export(tmp_path / "annotations.xml", track({3: "visible"}))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(export, "annotations.xml")
    cvat.merge(folder, [tmp_path / "a.zip"], "B")
    data, _ = cvat.merge(folder, [export], "A")
    assert (labels(data, "A"), labels(data, "B")) == ({3: "visible"}, {3: "visible"})
    assert "A has labelled v01 3 already" in problems(folder, export)


def test_a_frame_one_annotator_left_out_is_refused_and_the_folder_stays(folder, tmp_path):
    first = video_export(tmp_path / "b.xml", track({3: "visible", 8: "visible"}))
    cvat.merge(folder, [first], "B")
    second = video_export(tmp_path / "a.xml", track({3: "visible"}))
    assert "annotator 'A' left out 1 of 2 frames: 8" in problems(folder, second)


def test_a_video_task_exported_as_images(folder, tmp_path):
    body = image("frame_000004", tag("invisible", cause="blur")) + image("frame_000005")
    data, _ = cvat.merge(folder, [video_export(tmp_path / "a.xml", body)], "A")
    assert labels(data) == {4: "invisible"}
    assert data.annotations["cause"].tolist() == ["blur"]


def test_every_fifth_frame_of_a_video(folder, tmp_path):
    task = {"size": 8, "stop_frame": 35, "frame_filter": "step=5"}
    export = video_export(tmp_path / "a.xml", track({5: "visible", 35: "invisible"}), **task)
    data, _ = cvat.merge(folder, [export], "A")
    assert labels(data) == {5: "visible", 35: "invisible"}
    off = video_export(tmp_path / "b.xml", track({6: "visible"}), **task)
    assert "frame '6' (expected one of the task's frames 0 to 35, every 5)" in problems(folder, off)


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ({"size": 41, "stop_frame": 40}, "video v01 has the frames 0 to 39: shifted"),
        ({"size": 39, "stop_frame": 38}, "video v01 has the frames 0 to 39: shifted"),
        ({"size": 39, "start_frame": 1}, "the task's frames 1 to 39, every 1; video v01"),
        ({"size": 41}, "size 41 (expected 40)"),
        ({"size": "x"}, "expected size, and step=N or no filter"),
        ({"frame_filter": "every=5"}, "expected size, and step=N or no filter"),
        ({"source": "v02.mp4"}, "the task's source 'v02.mp4': 0 such video files"),
    ],
)
def test_a_task_that_does_not_show_the_whole_video_is_refused(folder, tmp_path, task, expected):
    export = video_export(tmp_path / "a.xml", track({3: "visible"}), **task)
    assert expected in problems(folder, export)


def test_a_part_of_a_video_on_purpose(folder, tmp_path):
    task = {"size": 10, "start_frame": 20, "stop_frame": 29, "source": ""}
    export = video_export(tmp_path / "a.xml", track({20: "visible"}), **task)
    assert "(expected --video and one of the video files: v01)" in problems(folder, export)
    data, _ = cvat.merge(folder, [export], "A", video="v01", part=True)
    assert labels(data) == {20: "visible"}
    assert "no video 'v09'" in problems(folder, export, video="v09")
    beyond = video_export(tmp_path / "b.xml", track({20: "visible"}), size=41, stop_frame=40)
    assert "shifted" in problems(folder, beyond, part=True)


def test_a_video_of_a_variable_rate_is_refused(folder, tmp_path):
    held = encode(tmp_path / "held.mp4", 39, pts=[*range(20), *range(21, 40)])
    row = f"v01,{held.as_posix()},p1,,25,{FRAMES},metal,tests,Apache-2.0\n"
    (folder / "videos.csv").write_text(VIDEOS + row)
    export = video_export(tmp_path / "a.xml", track({3: "visible"}), source="held.mp4")
    assert "not 25 frames a second throughout, labelling tools count pictures" in problems(
        folder, export
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (track({3: "yes"}), "track 0, frame 3: label 'yes' (expected one of visible, invisible"),
        (track({40: "visible"}), "frame '40' (expected one of the task's frames 0 to 39"),
        (track({3: "visible"}, confidence="5"), "confidence '5' (expected one of , 1, 2, 3)"),
        (track({3: "invisible"}, cause="fog"), "cause 'fog' (expected one of "),
        (track({3: "visible"}) + track({3: "invisible"}), "(expected one label a frame)"),
        (f'<track id="0" label="Grasper">{shape({}, frame="3")}</track>', "no tip label"),
        ("", "no tip label"),
    ],
)
def test_labels_that_cannot_be_are_refused(folder, tmp_path, body, expected):
    assert expected in problems(folder, video_export(tmp_path / "a.xml", body))


def skeleton(frame: int, outside: str, own: str = "", tip: str = "visible") -> str:
    """A skeleton of one point for each digit of `outside`; `own` is its own attribute."""
    points = "".join(
        f'<points label="{n}" outside="{each}" points="1,1"><attribute name="tip">x</attribute>'
        "</points>"
        for n, each in enumerate(outside)
    )
    attribute = f'<attribute name="tip">{tip}</attribute>'
    own = f'outside="{own}"' if own else ""
    return f'<skeleton frame="{frame}" {own}>{points}{attribute}</skeleton>'


def test_shapes_that_are_switched_off_label_nothing(folder, tmp_path):
    shapes = [skeleton(3, "00"), skeleton(4, "01"), skeleton(5, "11"), skeleton(6, "00", own="1")]
    shapes += [
        f'<{tag} frame="{frame}" outside="{outside}" points="1,1">'
        '<attribute name="tip">visible</attribute></' + tag + ">"
        for frame, tag in enumerate(("points", "polygon", "cuboid", "ellipse", "mask"), start=20)
        for outside in ("1",)
    ]
    body = f'<track id="0" label="clipper">{"".join(shapes)}</track>'
    body += f'<track id="1" label="clipper" outside="1">{skeleton(30, "00")}</track>'
    data, _ = cvat.merge(folder, [video_export(tmp_path / "a.xml", body)], "A")
    assert labels(data) == {3: "visible", 4: "visible"}


def test_switched_off_skeletons_of_images_label_nothing(pictures, tmp_path):
    each = [image("v04_000050.jpg", skeleton(0, "10")), image("v04_000075.jpg", skeleton(0, "11"))]
    export = image_export(tmp_path / "a.xml", *each)
    assert "annotator 'D' left out 1 of 3 frames: 75" in problems(pictures, export, annotator="D")


def test_an_unknown_outside_is_refused(folder, tmp_path):
    body = f'<track id="0" label="clipper">{skeleton(3, "00", own="yes")}</track>'
    export = video_export(tmp_path / "a.xml", body)
    assert "track 0, frame 3: outside 'yes' (expected 0 or 1)" in problems(folder, export)


@pytest.mark.parametrize("name", ["skeleton_sparse", "box_sparse"])
def test_the_same_labels_as_boxes_and_as_skeletons(shared, tmp_path, name):
    video = encode(tmp_path / "v.mp4", 100)
    (tmp_path / "data").mkdir()
    row = f"v,{video.as_posix()},p1,,25,100,metal,tests,Apache-2.0\n"
    (tmp_path / "data" / "videos.csv").write_text(VIDEOS + row)
    export = shared / "cases" / "cvat" / f"{name}.xml"
    data, _ = cvat.merge(tmp_path / "data", [export], "A")
    assert labels(data) == {10: "visible", 40: "invisible"}


def test_a_jobs_export_without_its_source_names_the_option(shared, tmp_path):
    video = encode(tmp_path / "v.mp4", 100)
    (tmp_path / "data").mkdir()
    row = f"v,{video.as_posix()},p1,,25,100,metal,tests,Apache-2.0\n"
    (tmp_path / "data" / "videos.csv").write_text(VIDEOS + row)
    export = shared / "cases" / "cvat" / "job_without_source.xml"
    assert "(expected --video and one of the video files: v)" in problems(tmp_path / "data", export)
    data, _ = cvat.merge(tmp_path / "data", [export], "A", video="v")
    assert len(labels(data)) == 100


def test_a_file_that_is_no_export_is_refused(folder, tmp_path):
    path = tmp_path / "a.xml"
    path.write_text("not XML")
    assert "a.xml: not an export of CVAT" in problems(folder, path)
    path.write_text("<annotations><meta><project/></meta></annotations>")
    assert "export of a task, not a project" in problems(folder, path)
    assert "not an export of CVAT" in problems(folder, tmp_path / "nowhere.xml")


def image_export(path: Path, *images: str) -> Path:
    return write_export(path, "".join(images), size=len(images), mode="annotation")


def test_pictures_are_found_by_their_names(pictures, tmp_path):
    export = image_export(
        tmp_path / "a.xml",
        image("v04_000050.jpg", tag("visible", confidence="3"), tag("Grasper")),
        image("JPEGImages/v04_000075.jpg", shape({"tip": "invisible"}, label="clipper")),
        image("v05_000100.jpg", tag("invisible")),
        image("title (1).png"),
    )
    data, notes = cvat.merge(pictures, [export], "D")
    mine = data.annotations[data.annotations["annotator"] == "D"]
    assert mine[["video", "frame", "label"]].to_numpy().tolist() == [
        ["v04", 25, "absent"],
        ["v04", 50, "visible"],
        ["v04", 75, "invisible"],
        ["v05", 100, "invisible"],
        ["v05", 125, "absent"],
    ]
    assert notes[1:] == [
        f"{export}: no tip labels, left out: 1 of 'Grasper'",
        "2 frames absent, by the list of tools or boxes",
    ]
    assert len(data.annotations) == 20


def test_hostile_picture_names_are_refused_all_at_once(pictures, tmp_path):
    names = ["v04_000050 (1).jpg", "v04_50.jpg", "v04_-00050.jpg", "v04_00005٠.jpg", "000050.jpg"]
    images = [image(name, tag("visible")) for name in names]
    found = problems(pictures, image_export(tmp_path / "a.xml", *images))
    for name in names:
        assert f"image {name!r}: name fits none (expected a picture of one video" in found


def test_a_name_that_fits_two_videos_needs_the_video(tmp_path):
    rows = ""
    for name in ("VID01", "VID02"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "000030.png").touch()
        rows += f"{name},../{name}/{{frame:06d}}.png,{name},,1,,,tests,Apache-2.0\n"
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "videos.csv").write_text(VIDEOS + rows)
    export = image_export(tmp_path / "a.xml", image("000030.png", tag("visible")))
    assert "name fits the videos VID01, VID02" in problems(folder, export)
    full = image_export(tmp_path / "b.xml", image("VID01/000030.png", tag("invisible")))
    with pytest.warns(dataset.DatasetWarning, match="no annotation of the videos VID02"):
        cvat.merge(folder, [full], "A")
    data, _ = cvat.merge(folder, [export], "A", video="VID02")
    assert data.annotations["video"].tolist() == ["VID01", "VID02"]


def test_tracks_without_file_names_are_refused(pictures, tmp_path):
    body = track({3: "visible"})
    export = write_export(tmp_path / "a.xml", body, size=9, mode="annotation")
    assert 'expected its export as "CVAT for images 1.1"' in problems(pictures, export)


def test_cholec80_from_its_tool_list_to_two_annotators(videos80, tmp_path, capsys):
    imported = cholec80.read(videos80)
    folder = tmp_path / "data"
    importers.save(imported, folder)
    frames = imported.to_annotate["frame"].tolist()
    absent = dict.fromkeys(imported.annotations["frame"], "absent")
    # CVAT counts pictures: now the video needs one for each of its frames.
    encode(videos80 / "videos" / "video70.mp4", 490, codec={"preset": "ultrafast"})
    task = {"size": 490, "stop_frame": 489, "source": "video70.mp4"}
    for annotator, said in (("A", "visible"), ("B", "absent")):
        export = video_export(tmp_path / "a.xml", track(dict.fromkeys(frames, said)), **task)
        options = ["--dataset", str(folder), "--annotator", annotator]
        assert main(["import", "cvat", str(export), *options]) == 0, capsys.readouterr().err
        data = dataset.read(folder)
        assert labels(data, annotator) == absent | dict.fromkeys(frames, said)
    assert set(data.annotations["annotator"]) == {"A", "B"}
    # B saw no clip applier in the first frame, and C has to say so too: it is on no list.
    export = video_export(tmp_path / "a.xml", track(dict.fromkeys(frames[1:], "absent")), **task)
    assert "annotator 'C' left out 1 of 20 frames: 100" in problems(folder, export, annotator="C")
