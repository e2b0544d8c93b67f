"""Reads and checks the tables of a dataset folder, and collects every problem of every file."""

import os
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from clipassistnet.data import video_lengths
from clipassistnet.data.csv_tables import Problems, parse, read_cells, required_columns, typed
from clipassistnet.data.file_names import existing
from clipassistnet.data.image_pattern import image_path, is_sound
from clipassistnet.data.patients import patients
from clipassistnet.data.schema import TABLES


def validate(
    folder: Path, names: Iterable[str] = TABLES
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Read the tables of a dataset folder.

    Args:
        folder: the dataset folder.
        names: of the tables to read.

    Returns:
        The tables by name, with the dtypes of `schema.TABLES`, and all problems, sorted by file
        and line. There are no tables where there are problems.
    """
    if not folder.is_dir():
        return {}, [f"{folder}: no such folder (expected a dataset folder with videos.csv)"]
    tables, problems = {}, {}
    for name in names:
        table, path = TABLES[name], folder / f"{name}.csv"
        if not path.exists() and not table.required:
            continue
        problems[name] = Problems(path)
        rows = read_cells(path, problems[name], ",".join(required_columns(table)))
        if rows is not None:
            tables[name] = parse(rows, table, problems[name])
    if "videos" in tables:
        _check_videos(tables["videos"], folder, problems["videos"])
        tables["videos"] = video_lengths.completed(tables["videos"], folder, problems["videos"])
        for name in tables.keys() - {"videos", "passes"}:
            _check_against_videos(tables[name], tables["videos"], problems[name])
    if "annotations" in tables:
        _check_annotators(tables["annotations"], problems["annotations"])
        if "videos" in tables:
            _check_images(tables["annotations"], tables["videos"], folder, problems["annotations"])
    for name in tables.keys() & {"annotations", "adjudications", "truth"}:
        _check_causes(tables[name], problems[name])
    _check_ranges(tables, problems)
    found = [text for each in problems.values() for text in each.sorted()]
    return ({} if found else {name: typed(tables[name], TABLES[name]) for name in tables}), found


def _check_videos(videos: pd.DataFrame, folder: Path, problems: Problems) -> None:
    """Every path exists and occurs once; no patient is in two splits or has a wrong name."""
    _check_paths(videos.dropna(subset="path"), folder, problems)
    known = videos.dropna(subset=["patient", "split"])
    for patient, rows in known.groupby("patient"):
        if rows["split"].nunique() > 1:
            expected = f"one split for all videos of patient {patient!r}"
            problems.add_rows(rows, ["video", "patient", "split"], expected)
    # Several public data sets show the same operations: other names of a patient would leak.
    for line, video, patient, source in known[["video", "patient", "source"]].itertuples():
        expected = patients(source).get(video, patient)
        if patient != expected:
            problems.add(line, f"patient {patient!r} of {source}'s {video}", f"{expected!r}")


def _check_paths(videos: pd.DataFrame, folder: Path, problems: Problems) -> None:
    seen: dict[str, int] = {}
    for line, path in videos["path"].items():
        whole = os.path.realpath(existing(folder / path))
        if whole in seen:
            problems.add(line, f"path {path!r}", f"each file once; first at line {seen[whole]}")
        seen.setdefault(whole, line)
        if not os.path.isfile(whole) and ("{" in path or "}" in path):
            if not is_sound(path):
                problems.add(line, f"path {path!r}", "one {frame} or {frame:06d} in it")
        elif not os.path.isfile(whole):
            problems.add(line, f"path {path!r}: no such file", "a video file")
        elif os.path.getsize(whole) == 0:
            problems.add(line, f"path {path!r}: the file is empty", "a video file")


def _check_against_videos(table: pd.DataFrame, videos: pd.DataFrame, problems: Problems) -> None:
    """Every row is of a known video, and no frame is past its end."""
    named = table.dropna(subset="video")
    unknown = ~named["video"].isin(videos["video"])
    problems.add_rows(named[unknown], ["video"], "a video of videos.csv")
    lengths = videos.dropna(subset=["video", "frames"]).drop_duplicates("video")
    length = table["video"].map(lengths.set_index("video")["frames"].astype("Float64"))
    for column in table.columns.intersection(["frame", "start", "end"]):
        last = length if column == "end" else length - 1
        past = table[(table[column] > last).fillna(False)]
        for line, video, frame in past[["video", column]].itertuples(name=None):
            what = f"video {video!r}, {column} {frame}"
            problems.add(line, what, f"at most {int(last[line])}, the video's end")


def _check_annotators(annotations: pd.DataFrame, problems: Problems) -> None:
    """Where several annotators labelled a video, each of them labelled the same frames."""
    sound = annotations.dropna(subset=["video", "frame", "annotator"])
    for video, rows in sound.groupby("video"):
        frames = set(rows["frame"])
        for annotator, own in rows.groupby("annotator"):
            missing = sorted(frames - set(own["frame"]))
            if missing:
                what = (
                    f"video {video!r}: annotator {annotator!r} left out "
                    f"{len(missing)} of {len(frames)} frames: {', '.join(map(str, missing))}"
                )
                problems.add(own.index.max(), what, "every frame the others labelled")


def _check_images(
    annotations: pd.DataFrame, videos: pd.DataFrame, folder: Path, problems: Problems
) -> None:
    """Every annotated frame of an image pattern has its file."""
    located = videos.dropna(subset=["video", "path"]).drop_duplicates("video")
    patterns = located.set_index("video")["path"]
    patterns = patterns[patterns.map(is_sound)]
    rows = annotations.dropna(subset=["video", "frame"])
    rows = rows[rows["video"].isin(patterns.index)].drop_duplicates(["video", "frame"])
    for line, video, frame in rows[["video", "frame"]].itertuples():
        path = image_path(patterns[video], frame)
        if not os.path.isfile(existing(folder / path)):
            problems.add(line, f"video {video!r}, frame {frame}: no file {path}", "an image file")


def _check_causes(table: pd.DataFrame, problems: Problems) -> None:
    """A visible tip has no cause, and an invisible one has not the cause "none"."""
    if "cause" not in table:
        return
    allowed = {"visible": ("none", ""), "absent": ("none", "no_clipper", "")}
    rows = table.dropna(subset=["label", "cause"])
    for label, causes in allowed.items():
        wrong = (rows["label"] == label) & ~rows["cause"].isin(causes)
        words = " or ".join(cause or "nothing" for cause in causes)
        problems.add_rows(rows[wrong], ["label", "cause"], f"cause {words} where it is {label}")
    wrong = (rows["label"] == "invisible") & (rows["cause"] == "none")
    problems.add_rows(rows[wrong], ["label", "cause"], "a cause, or nothing where it is unknown")


def _check_ranges(tables: dict[str, pd.DataFrame], problems: dict[str, Problems]) -> None:
    """Phases end after they start; boxes have a left and an upper edge."""
    for name, low, high in [
        ("phases", "start", "end"),
        ("boxes", "x0", "x1"),
        ("boxes", "y0", "y1"),
    ]:
        if name in tables:
            wrong = (tables[name][low] >= tables[name][high]).fillna(False)
            problems[name].add_rows(tables[name][wrong], [low, high], f"{low} below {high}")
