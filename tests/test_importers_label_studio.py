"""Labels made in Label Studio: on the right frames, or refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clipassistnet.__main__ import main
from clipassistnet.data import dataset
from clipassistnet.data.importers import label_studio
from test_importers_cvat import folder, labels, pictures, video
from tiny_videos import FRAMES

__all__ = ["folder", "pictures", "video"]  # Fixtures, which pytest finds here.
UPLOADED = "/data/upload/3/0a1b2c3d-"
VIDEO = {"video": UPLOADED + "v01.mp4"}


def choice(value: str, control: str = "label", region: str = "c1") -> dict:
    return {
        "id": region,
        "type": "choices",
        "from_name": control,
        "to_name": "image",
        "value": {"choices": [value]},
    }


def rectangle(label: str, region: str = "r1") -> dict:
    value = {"x": 1, "y": 2, "width": 3, "height": 4, "rectanglelabels": [label]}
    return {"id": region, "type": "rectanglelabels", "from_name": "box", "value": value}


def timeline(label: str, start: int, end: int, region: str = "t1") -> dict:
    value = {"ranges": [{"start": start, "end": end}], "timelinelabels": [label]}
    return {"id": region, "type": "timelinelabels", "from_name": "tip", "value": value}


def tracked(label: str, keys: dict[int, bool], region: str = "v1", **more) -> dict:
    sequence = [
        {"frame": frame, "enabled": enabled, "x": 1, "y": 1, "width": 9, "height": 9, "time": 0.1}
        for frame, enabled in keys.items()
    ]
    value = {"framesCount": FRAMES, "duration": 1.6, "sequence": sequence, "labels": [label]} | more
    return {"id": region, "type": "videorectangle", "from_name": "box", "value": value}


def task(data: dict, *results: dict, by: object = 1, **more) -> dict:
    annotation = {"id": 5, "completed_by": by, "was_cancelled": False, "result": list(results)}
    return {"id": 4, "data": data, "annotations": [annotation | more], "predictions": []}


def write(path: Path, *tasks: object) -> Path:
    path.write_text(json.dumps(tasks), encoding="utf-8")
    return path


def problems(folder: Path, export: Path, **options) -> str:
    with pytest.raises(dataset.DatasetError) as error:
        label_studio.merge(folder, [export], "A", **options)
    assert not (folder / "annotations.csv").exists()
    return str(error.value)


@pytest.mark.parametrize(
    "name",
    [
        UPLOADED + "v04_000050.jpg",
        "/data/local-files/?d=set/JPEGImages/v04_000050.jpg",
        "/data/local-files/?d=set%2FJPEGImages%2Fv04_000050.jpg",
        "https://host.example/JPEGImages/v04_000050.jpg?token=1/2",
        "s3://bucket/JPEGImages/v04_000050.jpg",
        "C:\\set\\JPEGImages\\v04_000050.jpg",
    ],
)
def test_a_picture_is_found_by_its_name(pictures, tmp_path, name):
    results = [choice("invisible"), choice("blur", "cause", "c2"), choice("2", "confidence", "c3")]
    second = task({"image": "v04_000075.jpg"}, choice("visible"))
    export = write(tmp_path / "a.json", task({"image": name, "note": "nothing"}, *results), second)
    data, notes = label_studio.merge(pictures, [export], "D")
    mine = data.annotations[data.annotations["annotator"] == "D"]
    row = mine[(mine["video"] == "v04") & (mine["frame"] == 50)].iloc[0]
    assert row[["label", "cause", "confidence"]].tolist() == ["invisible", "blur", 2]
    assert notes[0] == f"{export}: 2 frames labelled"


def test_regions_of_a_picture_and_their_own_answers(folder, tmp_path):
    other = rectangle("Grasper", "r2")
    mine = [rectangle("clipper"), choice("visible", "tip", "r1"), choice("none", "cause", "r1")]
    relation = {"type": "relation", "from_id": "r1", "to_id": "r2", "direction": "right"}
    export = write(
        tmp_path / "a.json", task({"image": UPLOADED + "v01_000003.png"}, *mine, other, relation)
    )
    data, notes = label_studio.merge(folder, [export], "A")
    assert labels(data) == {3: "visible"}
    assert data.annotations["cause"].tolist() == ["none"]
    assert f"{export}: no tip labels, left out: 1 of 'Grasper'" in notes
    assert "count the video's frames from 0" in notes[-1]


def test_the_timeline_of_a_video_counts_from_one(folder, tmp_path):
    results = [timeline("visible", 1, 3), timeline("invisible", 40, 40, "t2")]
    export = write(tmp_path / "a.json", task(VIDEO, *results))
    data, notes = label_studio.merge(folder, [export], "A")
    assert labels(data) == {0: "visible", 1: "visible", 2: "visible", 39: "invisible"}
    assert notes == [f"{export}: 4 frames labelled"]


def test_a_tracked_rectangle_is_hidden_after_a_key_frame_that_is_switched_off(folder, tmp_path):
    visible = tracked("visible", {4: True, 6: False, 10: False})
    invisible = tracked("invisible", {39: True}, "v2")
    export = write(tmp_path / "a.json", task(VIDEO, visible, invisible))
    data, _ = label_studio.merge(folder, [export], "A")
    assert labels(data) == dict.fromkeys([3, 4, 5, 9], "visible") | {
        38: "invisible",
        39: "invisible",
    }


def test_a_tracked_rectangle_with_an_answer_of_its_own(folder, tmp_path):
    results = [tracked("clipper", {4: False}), choice("absent", "tip", "v1")]
    data, _ = label_studio.merge(folder, [write(tmp_path / "a.json", task(VIDEO, *results))], "A")
    assert labels(data) == {3: "absent"}


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([timeline("visible", 0, 3)], "result[0]: frame 0 (expected 1 to 40, the video's frames)"),
        ([timeline("visible", 39, 41)], "result[0]: frame 41 (expected 1 to 40"),
        ([tracked("visible", {1: True}, framesCount=38)], "framesCount 38 (expected 40: give the "
                                                         "video's frameRate"),
        ([choice("visible")], "a label of the whole video (expected labels of its frames"),
        ([timeline("visible", 1, 3), timeline("invisible", 3, 4, "t2")], "expected one label"),
        ([timeline("yes", 1, 3)], "label 'yes' (expected one of visible"),
        ([timeline("visible", 1, 2), choice("fog", "cause", "t1")], "cause 'fog' (expected one of"),
        ([], "no tip label"),
        ([{"id": "t", "value": {"ranges": [{"start": "1", "end": 2}]}}],
         'result[0]: ranges: start: "1" (expected a whole number)'),
        ([timeline("visible", 1, 3) | {"from_name": None}], "from_name: null (expected a text)"),
    ],
)  # fmt: skip
def test_labels_of_a_video_that_cannot_be_are_refused(folder, tmp_path, results, expected):
    export = write(tmp_path / "a.json", task(VIDEO, *results))
    found = problems(folder, export)
    assert str(export) in found
    assert expected in found


def test_a_video_of_another_name_needs_the_video(folder, tmp_path):
    export = write(tmp_path / "a.json", task({"video": "b/v09.mp4"}, timeline("visible", 1, 1)))
    expected = "0 video files of videos.csv for b/v09.mp4 (expected one; --video names it)"
    assert expected in problems(folder, export)
    data, _ = label_studio.merge(folder, [export], "A", video="v01")
    assert labels(data) == {0: "visible"}


def test_a_picture_of_no_video_is_refused(folder, tmp_path):
    export = write(tmp_path / "a.json", task({"image": UPLOADED + "title.png"}, choice("visible")))
    assert "[0].annotations[0]: title.png: name fits none" in problems(folder, export)


def test_several_annotators_need_a_choice(folder, tmp_path, capsys):
    both = task(VIDEO, timeline("visible", 1, 1), by={"id": 1, "email": "a@x.example"})
    both["annotations"] += task(VIDEO, timeline("invisible", 1, 1), by=2)["annotations"]
    export = write(tmp_path / "a.json", both)
    found = problems(folder, export)
    assert "annotations by 1 or a@x.example, 2 (expected one: choose with --completed-by)" in found
    assert "no annotation by '3'" in problems(folder, export, completed_by="3")
    options = ["--dataset", str(folder), "--annotator", "B", "--completed-by", "2"]
    assert main(["import", "label-studio", str(export), *options]) == 0, capsys.readouterr().err
    assert labels(dataset.read(folder), "B") == {0: "invisible"}
    data, _ = label_studio.merge(folder, [export], "A", completed_by="a@x.example")
    assert labels(data) == {0: "visible"}


def test_what_the_annotator_skipped_is_said(folder, tmp_path):
    skipped = task(VIDEO, timeline("invisible", 1, 9), was_cancelled=True)
    empty = task(VIDEO) | {"annotations": []}
    export = write(tmp_path / "a.json", task(VIDEO, timeline("visible", 1, 1)), skipped, empty)
    data, notes = label_studio.merge(folder, [export], "A")
    assert labels(data) == {0: "visible"}
    assert notes[1:] == [
        f"{export}: 1 annotations were skipped by the annotator",
        f"{export}: 1 tasks without annotation",
    ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, "the file: {} (expected a list)"),
        ([{"image": "a.png", "label": "visible"}], 'expected the export "JSON", not "JSON-MIN"'),
        ([3], "[0]: 3 (expected a mapping)"),
        ([{"data": {}}], "[0]: no 'annotations' (expected a list)"),
        ([{"data": {}, "annotations": [{}]}], "[0].annotations[0]: no 'result' (expected a list)"),
        (
            [{"data": {}, "annotations": [{"result": [1]}]}],
            "annotations[0]: 1 (expected a mapping)",
        ),
        ([{"data": [], "annotations": [{"result": []}]}], "[0].annotations[0]: data: [] (expected"),
    ],
)
def test_other_structures_are_refused(folder, tmp_path, body, expected):
    export = tmp_path / "a.json"
    export.write_text(json.dumps(body))
    found = problems(folder, export)
    assert str(export) in found
    assert expected in found
