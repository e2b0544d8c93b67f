"""Reads and checks the tables of a dataset folder; every problem is collected, none stops it."""

import csv
import io
import os
import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from clipassistnet.data.schema import TABLES, Column

PATTERN = re.compile(r"\{frame(:0?[0-9]*d)?\}")


class Problems:
    """Collects the problems of one file."""

    def __init__(self, path: Path):
        self.path = path
        self.found: list[tuple[int, str]] = []

    def add(self, line: int, what: str, expected: str) -> None:
        self.found.append((line, f"{self.path}:{line}: {what} (expected {expected})"))

    def add_rows(self, rows: pd.DataFrame, columns: Iterable[str], expected: str) -> None:
        """One problem for each of these rows (indexed by line), quoting these columns."""
        names = list(columns)
        for line, *values in rows[names].itertuples(name=None):
            cells = [repr(value) if isinstance(value, str) else value for value in values]
            pairs = zip(names, cells, strict=True)
            self.add(line, ", ".join(f"{name} {cell}" for name, cell in pairs), expected)

    def sorted(self) -> list[str]:
        return [text for _, text in sorted(self.found, key=lambda problem: problem[0])]


def validate(
    folder: Path, names: Iterable[str] = TABLES
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Read the tables of a dataset folder, all of them or those named.

    Returns:
        The tables by name, with the dtypes of `schema.TABLES`, and all problems, sorted by file
        and line. The tables are to be used only where there are no problems.
    """
    if not folder.is_dir():
        return {}, [f"{folder}: no such folder (expected a dataset folder with videos.csv)"]
    tables, problems = {}, {}
    for name in names:
        table, path = TABLES[name], folder / f"{name}.csv"
        if not path.exists() and not table.required:
            continue
        problems[name] = Problems(path)
        rows = _read_rows(path, problems[name])
        if rows is not None:
            tables[name] = _parse(rows, name, problems[name])
    if "videos" in tables:
        _check_videos(tables["videos"], folder, problems["videos"])
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
    return ({} if found else {name: _typed(tables[name], name) for name in tables}), found


def _read_rows(path: Path, problems: Problems) -> pd.DataFrame | None:
    """Cells of a CSV file as text, indexed by line, or None where nothing can be made of it."""
    try:
        # "utf-8-sig" also takes the byte order mark that spreadsheets write.
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        problems.add(1, f"cannot be read: {error.strerror}", "a CSV file")
        return None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        problems.add(line, f"byte 0x{error.object[error.start]:02x} is not UTF-8", "UTF-8 text")
        return None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: dict[int, list[str]] = {}
    try:
        for row in reader:
            if row:
                rows[reader.line_num] = row
    except csv.Error as error:
        problems.add(reader.line_num, f"not CSV: {error}", "cells separated by commas")
        return None
    if not rows:
        problems.add(1, "the file is empty", f"a header line with {_columns_of(path)}")
        return None
    header = rows.pop(min(rows))
    if len(set(header)) < len(header):
        problems.add(1, f"header {','.join(header)!r}", "each column once")
        return None
    for line in [line for line, row in rows.items() if len(row) != len(header)]:
        problems.add(line, f"{len(rows.pop(line))} cells", f"{len(header)} as in the header")
    return pd.DataFrame([*rows.values()], index=[*rows], columns=header, dtype="str")


def _columns_of(path: Path) -> str:
    return ",".join(name for name, c in TABLES[path.stem].columns.items() if not c.optional)


def _parse(rows: pd.DataFrame, name: str, problems: Problems) -> pd.DataFrame:
    """Check header and cells; a cell that is not acceptable becomes missing."""
    table = TABLES[name]
    for column in rows.columns.difference(list(table.columns)):
        problems.add(1, f"unknown column {column!r}", f"columns among {','.join(table.columns)}")
    needed = [column for column, rule in table.columns.items() if not rule.optional]
    for column in [column for column in needed if column not in rows]:
        problems.add(1, f"no column {column!r}", f"the columns {','.join(needed)}")
    if table.required and rows.empty:
        problems.add(1, "no rows below the header", "at least one")
    parsed = pd.DataFrame(index=rows.index)
    for column, rule in table.columns.items():
        if column in rows:
            parsed[column], bad = _convert(rows[column], rule)
            problems.add_rows(rows[bad], [column], rule.expected)
        elif not rule.optional:
            parsed[column], _ = _convert(pd.Series(pd.NA, rows.index, dtype="str"), rule)
    _check_key(parsed, list(table.key), problems)
    return parsed


def _check_key(rows: pd.DataFrame, key: list[str], problems: Problems) -> None:
    rows = rows.dropna(subset=key)
    repeated = rows[rows.duplicated(key, keep=False)]
    for _, group in repeated.groupby(key):
        expected = f"{', '.join(key)} only once; first at line {group.index[0]}"
        problems.add_rows(group.iloc[1:], key, expected)


def _convert(cells: pd.Series, rule: Column) -> tuple[pd.Series, pd.Series]:
    """Values of a column (missing where not acceptable), and where they are not acceptable."""
    good = cells.str.fullmatch(f"(?:{rule.pattern})").fillna(False).astype(bool)
    if rule.dtype == "str":
        return cells.where(good), ~good
    if rule.dtype == "bool":
        return cells.where(good).isin(["true", "True", "1"]).astype("boolean").where(good), ~good
    values = pd.to_numeric(cells.where(good & (cells != "")))
    infinite = values.abs() == float("inf")  # 1e999 is written like a number
    outside = (values < rule.low) | (values > rule.high) | infinite
    bad = ~good | outside
    return values.where(~bad).astype("Int64" if rule.whole else "Float64"), bad


def _typed(table: pd.DataFrame, name: str) -> pd.DataFrame:
    dtypes = {column: TABLES[name].columns[column].dtype for column in table}
    return table.astype(dtypes).reset_index(drop=True)


def _check_videos(videos: pd.DataFrame, folder: Path, problems: Problems) -> None:
    located = videos.dropna(subset="path")
    seen: dict[str, int] = {}
    for line, path, frames in located[["path", "frames"]].itertuples():
        whole = os.path.realpath(folder / path)
        if whole in seen:
            problems.add(line, f"path {path!r}", f"each file once; first at line {seen[whole]}")
        seen.setdefault(whole, line)
        if "{" in path or "}" in path:
            if len(PATTERN.findall(path)) != 1 or re.search("[{}]", PATTERN.sub("", path)):
                problems.add(line, f"path {path!r}", "one {frame} or {frame:06d} in it")
            continue
        if not os.path.isfile(whole):
            problems.add(line, f"path {path!r}: no such file", "a video file")
        elif os.path.getsize(whole) == 0:
            problems.add(line, f"path {path!r}: the file is empty", "a video file")
        if pd.isna(frames):
            problems.add(line, "frames ''", "a video file's length in frames")
    known = videos.dropna(subset=["patient", "split"])
    for patient, rows in known.groupby("patient"):
        if rows["split"].nunique() > 1:
            expected = f"one split for all videos of patient {patient!r}"
            problems.add_rows(rows, ["video", "patient", "split"], expected)
    # Operations of public data sets bear several names: under another patient's they would leak.
    from clipassistnet.data.patients import patients  # imports this package

    for line, video, patient, source in known[["video", "patient", "source"]].itertuples():
        expected = patients(source).get(video, patient)
        if patient != expected:
            problems.add(line, f"patient {patient!r} of {source}'s {video}", f"{expected!r}")


def _check_against_videos(table: pd.DataFrame, videos: pd.DataFrame, problems: Problems) -> None:
    """Every row belongs to a known video, every frame lies before its end."""
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
    """Where several annotators share a video, each labelled every frame of it."""
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
    patterns = patterns[patterns.str.count(PATTERN.pattern) == 1]
    rows = annotations.dropna(subset=["video", "frame"])
    rows = rows[rows["video"].isin(patterns.index)].drop_duplicates(["video", "frame"])
    for line, video, frame in rows[["video", "frame"]].itertuples():
        path = PATTERN.sub(lambda match, frame=frame: match[0].format(frame=frame), patterns[video])
        if not os.path.isfile(folder / path):
            problems.add(line, f"video {video!r}, frame {frame}: no file {path}", "an image file")


def _check_causes(table: pd.DataFrame, problems: Problems) -> None:
    """A visible tip has no cause of being invisible, an invisible one has not "none"."""
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
