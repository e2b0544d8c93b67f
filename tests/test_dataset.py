"""The dataset contract: what is written is read back, what is wrong is named, all at once."""

import os
import shutil
import warnings
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from clipassistnet.data import dataset, video_source
from clipassistnet.data.schema import TABLES
from tiny_videos import encode

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
    column = {"videos": "patient", "annotations": "label", "tips": "x"}[name]
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
    assert "phases.csv:1: cells separated by semicolons (expected cells separated by comma" in found
    assert "boxes.csv:2: not CSV" in found
    assert "actions.csv:10: 3 cells (expected 4 as in the header)" in found
    assert "videos.csv:6: path 'videos/v05.mp4': the file is empty" in found


# --- tables as spreadsheets save them -------------------------------------------------------------


def rewrite(folder: Path, change, encoding: str = "utf-8") -> dataset.Dataset:
    """Change the text of annotations.csv; returns the dataset as it was before."""
    before, path = dataset.read(folder), folder / "annotations.csv"
    path.write_bytes(change(path.read_text()).encode(encoding))
    return before


@pytest.mark.parametrize(
    ("name", "change"),
    {
        "blank rows at the end": lambda text: text + ",,,,\r\n" * 30,
        "blank rows between": lambda text: text.replace("\n", "\n, ,,,\n\n", 3),
        "empty columns": lambda text: text.replace("\n", ",,\n"),
        "a longer blank row": lambda text: text + ",,,,,,,\n",
        "quotation marks": lambda text: text.replace("v01", '"v01"'),
        "line ends of old Macs": lambda text: text.replace("\n", "\r"),
    }.items(),
)
def test_what_cannot_be_mistaken_is_read(folder, name, change):
    before = rewrite(folder, change)
    pd.testing.assert_frame_equal(dataset.read(folder).annotations, before.annotations)


@pytest.mark.parametrize(
    ("change", "encoding", "cause"),
    [
        (lambda text: text.replace(",", ";"), "utf-8", "1: cells separated by semicolons"),
        (lambda text: text.replace(",", ";"), "utf-8-sig", "1: cells separated by semicolons"),
        (lambda text: "sep=;\n" + text.replace(",", ";"), "utf-8", "1: cells separated by semi"),
        (lambda text: text.replace(",", "\t"), "utf-8", "1: cells separated by tabs"),
        (lambda text: text, "utf-16", "1: the file is UTF-16"),
        (lambda text: text, "utf-16-be", "1: the file is UTF-16 or no text"),
        (lambda text: text, "utf-32", "1: the file is UTF-16"),
        (lambda text: "PK\x03\x04" + text, "utf-8", "1: the file is a spreadsheet"),
        (lambda text: text.replace("v01,0,A", "v01,0,Jörg"), "latin-1", "2: byte 0xf6 is not UTF"),
    ],
)
def test_another_format_is_one_problem_that_names_the_cause(folder, change, encoding, cause):
    rewrite(folder, change, encoding)
    (found,) = problems(folder)
    assert f"annotations.csv:{cause}" in found
    assert "(expected " in found


def test_shared_cases_of_tables(shared):
    for name in ("trailing_rows", "trailing_columns"):
        assert len(dataset.read(shared / "cases" / "tables" / name).annotations) >= 10
    (found,) = problems(shared / "cases" / "tables" / "utf16")
    assert "annotations.csv:1: the file is UTF-16" in found
    for found in problems(shared / "cases" / "tables" / "semicolon"):
        assert ".csv:1: cells separated by semicolons" in found


# --- what videos.csv may leave out ----------------------------------------------------------------


def keep_columns(folder: Path, columns: list[str], **changed) -> None:
    videos = pd.read_csv(folder / "videos.csv", dtype="str")
    videos.assign(**changed)[columns].to_csv(folder / "videos.csv", index=False)


def test_videos_need_a_path_and_a_patient_only(folder):
    before = dataset.read(folder)
    keep_columns(folder, ["video", "path", "patient"])
    read = dataset.read(folder)
    expected = before.videos.assign(split="", clipper="", source="", licence="")
    pd.testing.assert_frame_equal(read.videos, expected)


def test_the_length_of_a_video_is_counted_once(folder, monkeypatch):
    keep_columns(folder, ["video", "path", "patient"])
    before = dataset.read(folder).videos
    monkeypatch.setattr("clipassistnet.data.video_lengths.probe", None)
    pd.testing.assert_frame_equal(dataset.read(folder).videos, before)
    monkeypatch.undo()
    encode(folder / "videos" / "v01.mp4", count=33)
    found = problems(folder)
    assert all("frame 34 (expected at most 32" in found[0] for _ in found)


def test_a_stated_rate_counts_the_frames(folder):
    keep_columns(folder, ["video", "path", "patient", "fps"], fps="50")
    read = dataset.read(folder)
    assert read.videos["frames"].tolist() == [79] * 8  # the last picture comes after 39 / 25 s
    assert read.videos["fps"].tolist() == [50.0] * 8


def test_a_variable_rate_must_be_stated(folder):
    stamps = [*range(0, 60, 2), *range(60, 70)]
    encode(folder / "videos" / "v01.mp4", pts=stamps)
    keep_columns(folder, ["video", "path", "patient"])
    (found,) = problems(folder)
    assert "videos.csv:2: path 'videos/v01.mp4'" in found
    assert "its frame rate varies" in found


def test_a_file_that_cannot_be_probed_is_a_problem(folder):
    keep_columns(folder, ["video", "path", "patient"])
    (folder / "videos" / "v03.mp4").write_text("not a video")
    (found,) = problems(folder)
    assert "videos.csv:4: path 'videos/v03.mp4'" in found
    assert "not a video" in found


def test_image_files_without_a_rate_are_warned_of(folder):
    (folder / "v01_000000.jpg").write_bytes(b"\xff\xd8")
    (folder / "annotations.csv").write_text("video,frame,annotator,label\nv01,0,A,visible\n")
    (folder / "videos.csv").write_text("video,path,patient\nv01,v01_{frame:06d}.jpg,p1\n")
    for name in OPTIONAL:
        (folder / name).unlink()
    with pytest.warns(dataset.DatasetWarning, match="image files without fps: v01: 25 assumed"):
        read = dataset.read(folder)
    assert read.videos["fps"].tolist() == [25.0]
    assert read.videos["frames"].isna().all()


def test_read_text_needs_no_videos(folder):
    shutil.rmtree(folder / "videos")
    keep_columns(folder, ["video", "path", "patient", "licence"])
    rows = dataset.read_text(folder, "videos")
    assert list(rows) == list(TABLES["videos"].columns)
    assert rows["licence"].tolist() == ["Apache-2.0"] * 8
    assert rows["source"].tolist() == [""] * 8
    keep_columns(folder, ["video", "path"])
    with pytest.raises(dataset.DatasetError, match=r"videos.csv:1: no column 'patient'"):
        dataset.read_text(folder, "videos")


# --- names of files and people --------------------------------------------------------------------

NFC, NFD = "Müller", "Mu\u0308ller"


@pytest.mark.parametrize(("written", "named"), [(NFC, NFD), (NFD, NFC)])
def test_umlauts_in_either_form_name_the_same_file(folder, written, named):
    (folder / "videos" / "v01.mp4").rename(folder / "videos" / f"{named}.mp4")
    (folder / "videos").rename(folder / "Fa\u0308lle")
    text = (folder / "videos.csv").read_text().replace("videos/v01", f"videos/{written}")
    (folder / "videos.csv").write_text(text.replace("videos/", "Fälle/"))
    assert Path(dataset.read(folder).path("v01")).is_file()


@pytest.mark.parametrize(("written", "named"), [(NFC, NFD), (NFD, NFC)])
def test_umlauts_in_names_of_image_files(folder, written, named):
    Image.new("RGB", (8, 6), (9, 0, 0)).save(folder / f"{named}_7.png")
    (folder / "annotations.csv").write_text("video,frame,annotator,label\nv01,7,A,visible\n")
    edit(folder, "videos.csv", 2, "videos/v01.mp4", f"{written}_{{frame}}.png")
    edit(folder, "videos.csv", 2, ",40,", ",,")
    with pytest.warns(dataset.DatasetWarning, match="no annotation"):
        data = dataset.read(folder)
    assert video_source.original(data, "v01", 7).shape == (6, 8, 3)


def test_a_name_in_two_forms_is_one_person(folder):
    for line, name in ((2, NFC), (3, NFD)):
        edit(folder, "videos.csv", line, "p1", name)
    edit(folder, "videos.csv", 3, "train", "test")
    assert f"one split for all videos of patient '{NFC}'" in problems(folder)[0]


def test_a_folder_whose_name_is_not_utf8(folder, tmp_path):
    other = Path(os.fsdecode(os.fsencode(tmp_path) + b"/vid\xe9os"))
    folder.rename(other)
    assert Path(dataset.read(other).path("v01")).is_file()
    edit(other, "videos.csv", 2, "v01.mp4", "v99.mp4")
    assert "no such file" in problems(other)[0]


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
