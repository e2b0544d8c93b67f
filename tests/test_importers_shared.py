"""What the importers share: the dataset folder, the command line, patients, boxes, tool lists."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipassistnet.__main__ import main
from clipassistnet.data import dataset, importers
from clipassistnet.data.importers import boxes as tool_boxes
from clipassistnet.data.importers import m2cai16, tool_lists
from clipassistnet.data.patients import known, patients
from test_importers import HEIGHT, WIDTH, made_up


@pytest.fixture
def tiny(tmp_path) -> Path:
    return made_up(tmp_path / "source")


def test_a_folder_that_holds_a_dataset_is_left_alone(tiny, tmp_path):
    out = tmp_path / "out"
    imported = m2cai16.read(tiny)
    importers.save(imported, out)
    before = (out / "annotations.csv").read_bytes()
    with pytest.raises(dataset.DatasetError, match=r"holds videos.csv, annotations.csv, boxes.csv"):
        importers.save(imported, out)
    assert (out / "annotations.csv").read_bytes() == before


def test_a_folder_that_does_not_validate_is_not_left_behind(tiny, tmp_path):
    path = tiny / "tip_visibility.csv"
    path.write_text(path.read_text().replace("v04,50,C,visible,none,3\n", ""))
    with pytest.raises(dataset.DatasetError, match="annotator 'C' left out"):
        importers.save(m2cai16.read(tiny), tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_command_line(tiny, tmp_path, capsys):
    out = str(tmp_path / "out")
    assert main(["import", "m2cai16-tool-locations", str(tiny), out]) == 0
    assert "2 videos of 2 patients, 5 labelled frames" in capsys.readouterr().out
    assert main(["import", "m2cai16-tool-locations", str(tiny), out]) == 1
    assert "labels are never overwritten" in capsys.readouterr().err
    assert main(["import", "cholec80", str(tmp_path / "nowhere"), out]) == 1
    assert "no such folder" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["m2cai16-tool-locations", "cholec80", "cholect50", "cvat"])
def test_help_tells_a_newcomer_what_to_give(command, capsys):
    with pytest.raises(SystemExit) as status:
        main(["import", command, "--help"])
    assert status.value.code == 0
    text = capsys.readouterr().out
    assert "SOURCE is the folder" in text or "Export each task" in text


def test_every_operation_has_one_patient_under_all_its_names():
    assert patients("m2cai16-tool-locations")["v04"] == "cholec80_70"
    assert patients("cholect50")["VID70"] == patients("cholec80")["video70"] == "cholec80_70"
    assert [len(patients(name)) for name in ("cholec80", "cholect50")] == [80, 50]
    assert not known().duplicated(["dataset", "video"]).any()
    assert not known().duplicated(["dataset", "patient"]).any()
    # Cholec80 has no such operations.
    beyond = set(patients("cholect50").values()) - set(patients("cholec80").values())
    assert beyond == {f"cholec120_{n}" for n in (92, 96, 103, 110, 111)}


@settings(max_examples=40)
@given(
    st.lists(st.tuples(*[st.integers(-5, WIDTH + 5), st.integers(-4, HEIGHT + 4)] * 2), max_size=8)
)
def test_clamped_boxes_are_the_part_inside_the_picture(corners):
    columns = dict(zip(tool_boxes.CORNERS, np.array(corners).reshape(-1, 4).T, strict=True))
    boxes = pd.DataFrame({"video": "v", "frame": range(len(corners)), "tool": "Clipper", **columns})
    boxes = boxes.assign(width=WIDTH, height=HEIGHT, file="file")
    inside = [
        (max(x0, 0), max(y0, 0), min(x1, WIDTH), min(y1, HEIGHT)) for x0, y0, x1, y1 in corners
    ]
    # 5 % of 60 x 40 pixels: 3 to the left and right, 2 above and below.
    far = any(
        min(x0, x1) < -3 or max(x0, x1) > WIDTH + 3 or min(y0, y1) < -2 or max(y0, y1) > HEIGHT + 2
        for x0, y0, x1, y1 in corners
    )
    if far or any(x0 >= x1 or y0 >= y1 for x0, y0, x1, y1 in [*corners, *inside]):
        with pytest.raises(dataset.DatasetError):
            tool_boxes.clamp(boxes)
        return
    clamped, notes = tool_boxes.clamp(boxes)
    assert [tuple(row) for row in clamped[tool_boxes.CORNERS].to_numpy()] == inside
    assert len(notes) == (inside != corners)


@settings(max_examples=40)
@given(st.lists(st.sampled_from([0, 0, 0, 0, 0, 0, 0, 0, 1, -1]), max_size=60))
def test_seconds_near_a_listed_clip_applier_are_neither_absent_nor_forgotten(listed):
    frames = [second * 25 for second, mark in enumerate(listed) if mark >= 0]
    marks = [mark == 1 for mark in listed if mark >= 0]
    absent, candidates = tool_lists.from_tool_list("v", frames, marks, 25, "list")
    near = {
        frame
        for frame in frames
        if any(
            mark and abs(frame - other) <= 125 for other, mark in zip(frames, marks, strict=True)
        )
    }
    assert set(candidates["frame"]) == near
    assert set(absent["frame"]) == set(frames) - near
    expected = {frame for frame, mark in zip(frames, marks, strict=True) if mark}
    assert set(candidates.loc[candidates["listed"] == 1, "frame"]) == expected


@settings(max_examples=40)
@given(st.lists(st.sampled_from(["a", "b", ""]), max_size=30))
def test_phase_runs_cover_each_frame_with_its_phase(phases):
    frames = [frame for frame, phase in enumerate(phases) if phase]
    runs = tool_lists.phase_runs("v", frames, [phase for phase in phases if phase])
    covered = {frame: row.phase for row in runs.itertuples() for frame in range(row.start, row.end)}
    assert covered == {frame: phase for frame, phase in enumerate(phases) if phase}
    assert (runs["start"].to_numpy()[1:] >= runs["end"].to_numpy()[:-1]).all()
    joined = runs["start"].to_numpy()[1:] == runs["end"].to_numpy()[:-1]
    assert not (joined & (runs["phase"].to_numpy()[1:] == runs["phase"].to_numpy()[:-1])).any()
