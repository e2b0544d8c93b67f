"""The dataset contract: what is written is read back, what is wrong is named, all at once."""

import shutil
import warnings
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipassistnet.data import dataset

OPTIONAL = {"phases.csv", "actions.csv", "boxes.csv", "tips.csv", "truth.csv"}


@pytest.fixture(scope="module")
def source(tiny_dataset) -> dataset.Dataset:
    return dataset.read(tiny_dataset)


@pytest.fixture
def folder(tiny_dataset, tmp_path) -> Path:
    """A copy whose tables may be changed."""
    return Path(shutil.copytree(tiny_dataset, tmp_path / "copy"))


def edit(folder: Path, name: str, line: int, old: str, new: str) -> None:
    lines = (folder / name).read_text().split("\n")
    assert old in lines[line - 1], lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new, 1)
    (folder / name).write_text("\n".join(lines))


def append(folder: Path, name: str, row: str) -> int:
    """Append a row; returns its line."""
    text = (folder / name).read_text()
    (folder / name).write_text(text + row + "\n")
    return text.count("\n") + 1


def problems(folder: Path) -> list[str]:
    with pytest.raises(dataset.DatasetError) as error:
        dataset.read(folder)
    return error.value.problems


def test_read_gives_the_tables_with_their_types(tiny_dataset):
    read = dataset.read(tiny_dataset)
    assert len(read.videos) == 8
    assert len(read.annotations) == 6 * 20 + 2 * 60 + 6
    assert read.annotations["frame"].dtype == "int64"
    assert read.videos["fps"].dtype == "float64"
    assert read.videos["frames"].dtype == "Int64"
    assert read.actions["safe"].tolist() == [True] * 6 + [False] * 2
    assert read.actions["safe"].dtype == bool
    assert read.tips["visible_share"].dtype == "float64"
    assert read.truth["label"].isin(dataset.LABELS).all()
    assert read.boxes[["x0", "y0", "x1", "y1"]].iloc[0].tolist() == [8, 4, 40.5, 44]
    assert read.phases["end"].tolist() == [40] * 8
    assert Path(read.path("v03")) == tiny_dataset.resolve() / "videos/v03.mp4"
    with pytest.raises(KeyError, match="v99"):
        read.path("v99")


def test_optional_tables_and_columns_may_be_absent(folder):
    for name in OPTIONAL:
        (folder / name).unlink()
    annotations = pd.read_csv(folder / "annotations.csv").drop(columns="cause")
    annotations.to_csv(folder / "annotations.csv", index=False)
    read = dataset.read(folder)
    assert read.phases is None
    assert read.truth is None
    assert list(read.annotations) == ["video", "frame", "annotator", "label"]


@settings(max_examples=10)
@given(
    labels=st.dictionaries(st.integers(0, 39), st.sampled_from(dataset.LABELS), min_size=1),
    name=st.text("abcÄ,\"'; 漢", min_size=1),
)
def test_what_is_written_is_read_back(source, tmp_path_factory, labels, name):
    folder = tmp_path_factory.mktemp("written")
    videos = source.videos[:1].assign(path=source.path("v01"), source=name)
    annotations = pd.DataFrame(
        {"video": "v01", "frame": labels.keys(), "annotator": name, "label": labels.values()}
    )
    dataset.write(folder, videos=videos, annotations=annotations)
    read = dataset.read(folder)
    pd.testing.assert_frame_equal(read.videos, videos)
    pd.testing.assert_frame_equal(read.annotations, annotations, check_dtype=False)


def test_write_orders_columns_and_keeps_counts_whole(tmp_path):
    videos = pd.DataFrame({"frames": [40, None], "video": ["a", "b"]})
    dataset.write(tmp_path, videos=videos, annotations=pd.DataFrame({"label": ["x"], "video": "a"}))
    assert (tmp_path / "videos.csv").read_text() == "video,frames\na,40\nb,\n"
    assert (tmp_path / "annotations.csv").read_text() == "video,label\na,x\n"
    assert not list(tmp_path.glob("*.part"))
    with pytest.raises(TypeError, match="boxs"):
        dataset.write(tmp_path, videos=videos, annotations=videos, boxs=videos)


def test_digest_follows_the_tables_only(folder):
    before = dataset.read(folder).digest()
    (folder / "notes.txt").write_text("nothing to do with the data")
    assert dataset.read(folder).digest() == before
    edit(folder, "videos.csv", 2, "metal", "polymer")
    assert dataset.read(folder).digest() != before


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_byte_order_mark_line_ends_and_blank_lines_are_accepted(folder, encoding, end):
    expected = dataset.read(folder)
    for path in folder.glob("*.csv"):
        text = path.read_text().replace("\n", end) + end
        path.write_bytes(text.encode(encoding))
    read = dataset.read(folder)
    for name in ("videos", "annotations", "truth"):
        pd.testing.assert_frame_equal(getattr(read, name), getattr(expected, name))


BAD_CELLS = [
    ("videos.csv", 2, "v01,", "v/01,", "video 'v/01'"),
    ("videos.csv", 2, "p1", "", "patient ''"),
    ("videos.csv", 2, "train", "Train", "split 'Train' (expected one of: train, test, nothing)"),
    ("videos.csv", 2, ",25,", ",0,", "fps '0'"),
    ("videos.csv", 2, ",25,", ",nan,", "fps 'nan'"),
    ("videos.csv", 2, ",25,", ",1e999,", "fps '1e999'"),
    ("videos.csv", 2, ",40,", ",40.0,", "frames '40.0'"),
    ("videos.csv", 2, ",40,", ",0,", "frames '0'"),
    ("videos.csv", 2, ",40,", ",,", "frames '' (expected a video file's length"),
    ("videos.csv", 2, "metal", "Metal", "clipper 'Metal'"),
    ("videos.csv", 2, "v01.mp4", "v99.mp4", "v99.mp4': no such file"),
    ("videos.csv", 3, "v02.mp4", "v01.mp4", "each file once; first at line 2"),
    ("videos.csv", 2, "v01.mp4", "{fram}.jpg", "one {frame} or {frame:06d}"),
    ("annotations.csv", 2, "v01", "v1", "video 'v1' (expected a video of videos.csv)"),
    ("annotations.csv", 2, ",0,", ",-1,", "frame '-1'"),
    ("annotations.csv", 2, ",0,", ",1.5,", "frame '1.5'"),
    ("annotations.csv", 2, ",0,", ",,", "frame ''"),
    ("annotations.csv", 21, ",38,", ",40,", "frame 40 (expected at most 39, the video's end)"),
    ("annotations.csv", 2, ",visible", ",Visible", "label 'Visible'"),
    ("annotations.csv", 2, "A,", ",", "annotator ''"),
    ("annotations.csv", 2, "none", "smoke", "cause 'smoke'"),
    ("annotations.csv", 2, "none", "blur", "label 'visible', cause 'blur'"),
    ("annotations.csv", 6, "occluded_tissue", "none", "label 'invisible', cause 'none'"),
    ("annotations.csv", 3, ",2,", ",0,", "annotator only once; first at line 2"),
    ("truth.csv", 2, "none", "blur", "label 'visible', cause 'blur'"),
    ("truth.csv", 3, ",1,", ",0,", "video, frame only once; first at line 2"),
    ("phases.csv", 2, ",0,40", ",40,40", "start below end"),
    ("phases.csv", 2, ",40,", ",41,", "end 41 (expected at most 40"),
    ("actions.csv", 2, "True", "yes", "tip_visible_before 'yes'"),
    ("boxes.csv", 2, "8.0", "inf", "x0 'inf' (expected a finite number)"),
    ("boxes.csv", 2, "8.0", "40.5", "x0 40.5, x1 40.5 (expected x0 below x1)"),
    ("tips.csv", 2, "32.0", "", "x ''"),
    ("tips.csv", 2, ",0.5", ",1.5", "visible_share '1.5'"),
]


@pytest.mark.parametrize(("name", "line", "old", "new", "expected"), BAD_CELLS)
def test_a_bad_cell_is_named_with_file_line_and_value(folder, name, line, old, new, expected):
    for other in OPTIONAL - {name}:
        (folder / other).unlink()
    edit(folder, name, line, old, new)
    found = [problem for problem in problems(folder) if expected in problem]
    assert len(found) == 1
    assert found[0].startswith(f"{folder.resolve() / name}:{line}: ")


def test_all_problems_come_at_once(folder):
    """One of each bad cell that can stand beside the others: nothing hides anything."""
    edit(folder, "videos.csv", 4, ",25,", ",x,")
    edit(folder, "annotations.csv", 2, ",visible", ",seen")
    edit(folder, "annotations.csv", 3, ",2,", ",2x,")
    edit(folder, "actions.csv", 2, "True", "maybe")
    (folder / "tips.csv").write_text("")
    found = problems(folder)
    expected = ["fps 'x'", "label 'seen'", "frame '2x'", "'maybe'", "the file is empty"]
    assert len(found) == len(expected)
    assert all(text in problem for text, problem in zip(expected, found, strict=True))
    with pytest.raises(dataset.DatasetError, match="5 problems in the dataset:"):
        dataset.read(folder)


@pytest.mark.parametrize("name", ["videos", "annotations", "tips"])
def test_a_missing_and_a_mistyped_column_are_named(folder, name):
    column = {"videos": "fps", "annotations": "label", "tips": "x"}[name]
    edit(folder, f"{name}.csv", 1, f",{column}", f",{column}_")
    found = problems(folder)
    assert any(f"unknown column '{column}_'" in problem for problem in found)
    assert any(f"no column '{column}'" in problem for problem in found)


def test_a_patient_in_two_splits_is_named_with_all_its_videos(folder):
    edit(folder, "videos.csv", 3, "train", "test")
    found = problems(folder)
    assert len(found) == 2
    assert "video 'v01', patient 'p1', split 'train'" in found[0]
    assert "video 'v02', patient 'p1', split 'test'" in found[1]


def test_an_annotator_who_left_frames_out_is_named_with_the_frames(folder):
    lines = (folder / "annotations.csv").read_text().split("\n")
    dropped = {"v07,4,B", "v07,10,B", "v08,3,C"}
    kept = [line for line in lines if not any(line.startswith(each + ",") for each in dropped)]
    assert len(kept) == len(lines) - 3
    (folder / "annotations.csv").write_text("\n".join(kept))
    found = problems(folder)
    assert len(found) == 2
    assert "video 'v07': annotator 'B' left out 2 of 20 frames: 4, 10" in found[0]
    assert "video 'v08': annotator 'C' left out 1 of 22 frames: 3" in found[1]


def test_every_later_duplicate_is_named(folder):
    first = append(folder, "annotations.csv", "v01,0,A,invisible,blur")
    append(folder, "annotations.csv", "v01,0,A,visible,none")
    found = problems(folder)
    assert [problem.split(": ")[0].rsplit(":", 1)[1] for problem in found] == [
        str(first),
        str(first + 1),
    ]


def test_files_that_are_no_table(folder):
    (folder / "annotations.csv").write_bytes("video,frame\nvidéo,1\n".encode("latin-1"))
    (folder / "phases.csv").write_text("video;start;end;phase\nv01;0;4;clipping\n")
    (folder / "boxes.csv").write_text('video,frame\n"v01,3\n')
    append(folder, "actions.csv", "v01,3,True")
    (folder / "videos" / "v05.mp4").write_bytes(b"")
    found = "\n".join(problems(folder))
    assert "annotations.csv:2: byte 0xe9 is not UTF-8" in found
    assert "phases.csv:1: unknown column 'video;start;end;phase'" in found
    assert "boxes.csv:2: not CSV" in found
    assert "actions.csv:10: 3 cells (expected 4 as in the header)" in found
    assert "videos.csv:6: path 'videos/v05.mp4': the file is empty" in found


def test_required_tables_must_be_there_and_hold_rows(folder):
    (folder / "annotations.csv").write_text("video,frame,annotator,label\n")
    (folder / "videos.csv").unlink()
    found = problems(folder)
    assert len(found) == 2
    assert "videos.csv:1: cannot be read" in found[0]
    assert "annotations.csv:1: no rows below the header" in found[1]
    assert "no such folder" in problems(folder / "elsewhere")[0]


def test_what_may_be_an_oversight_is_a_warning(folder):
    (folder / "boxs.csv").write_text("video\n")
    lines = (folder / "annotations.csv").read_text().split("\n")
    kept = [line for line in lines if not line.startswith("v06,")]
    (folder / "annotations.csv").write_text("\n".join(kept))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dataset.read(folder)
    messages = [str(warning.message) for warning in caught]
    assert len(messages) == 2
    assert "not part of a dataset, not read: boxs.csv" in messages[0]
    assert "no annotation of the videos v06" in messages[1]


def test_annotated_frames_of_an_image_pattern_must_exist(folder):
    (folder / "v01_000000.jpg").write_bytes(b"\xff\xd8")
    (folder / "annotations.csv").write_text(
        "video,frame,annotator,label\nv01,0,A,visible\nv01,7,A,visible\n"
    )
    edit(folder, "videos.csv", 2, "videos/v01.mp4", "v01_{frame:06d}.jpg")
    edit(folder, "videos.csv", 2, ",40,", ",,")
    found = problems(folder)
    assert len(found) == 1
    assert "annotations.csv:3: video 'v01', frame 7: no file v01_000007.jpg" in found[0]


def test_a_bad_column_of_a_large_table_is_listed_whole(folder):
    count = 30_000
    edit(folder, "videos.csv", 2, ",40,", f",{count},")
    (folder / "truth.csv").unlink()
    rows = [f"v01,{frame},A,visible" for frame in range(count)]
    header = "video,frame,annotator,label"
    (folder / "annotations.csv").write_text("\n".join([header, *rows]))
    with pytest.warns(dataset.DatasetWarning, match="v02, v03"):
        read = dataset.read(folder)
    assert len(read.annotations) == count
    bad = [row.replace("visible", "seen") for row in rows]
    (folder / "annotations.csv").write_text("\n".join([header, *bad]))
    assert len(problems(folder)) == count
