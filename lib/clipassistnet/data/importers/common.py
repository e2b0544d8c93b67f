"""What the importers share: reading a source's files, tool lists, boxes, the dataset folder."""

import csv
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from clipassistnet.data import dataset
from clipassistnet.data.dataset import Dataset, DatasetError
from clipassistnet.data.schema import TABLES

# Cholec80's names, which all importers write.
TOOLS = ("Grasper", "Bipolar", "Hook", "Scissors", "Clipper", "Irrigator", "SpecimenBag")
PHASES = (
    "Preparation",
    "CalotTriangleDissection",
    "ClippingCutting",
    "GallbladderDissection",
    "GallbladderPackaging",
    "CleaningCoagulation",
    "GallbladderRetraction",
)
LICENCE = "CC BY-NC-SA 4.0"
# Tool lists name a tool where half of its tip is seen (Twinanda et al., IEEE TMI 36, 2017). So a
# clip applier with hidden tips, the very frame this project is about, is not in them: within this
# many seconds of a listed one nothing is taken to be without a clip applier.
MARGIN = 5
CORNERS = ["x0", "y0", "x1", "y1"]
OUTSIDE = 0.05  # of the picture's side: how far a box may reach beyond it, drawn by hand


@dataclass(frozen=True)
class Imported:
    """Tables of a dataset folder, and what to tell of how they were made.

    `to_annotate` has the columns video, frame and listed: frames that show a clip applier (listed
    1), or may show one (0), and have no tip label.
    """

    videos: pd.DataFrame
    annotations: pd.DataFrame
    to_annotate: pd.DataFrame
    notes: list[str]
    boxes: pd.DataFrame | None = None
    phases: pd.DataFrame | None = None


def save(imported: Imported, folder: str | Path) -> Dataset:
    """Write a new dataset folder and read it back, which validates it.

    The frames to annotate go to `to_annotate/clipper_frames.csv` in it.

    Raises:
        DatasetError: where the folder already holds a dataset, or reading it back finds a problem;
            nothing is left behind then.
    """
    folder = Path(folder)
    there = [f"{name}.csv" for name in TABLES if (folder / f"{name}.csv").exists()]
    if there:
        what = f"{folder}: holds {', '.join(there)} already"
        raise DatasetError([f"{what} (expected a new folder: labels are never overwritten)"])
    names = ("videos", "annotations", "boxes", "phases")
    dataset.write(folder, **{name: getattr(imported, name) for name in names})
    try:
        result = dataset.read(folder)
    except DatasetError:
        for name in names:
            (folder / f"{name}.csv").unlink(missing_ok=True)
        raise
    if len(imported.to_annotate):
        (folder / "to_annotate").mkdir(exist_ok=True)
        path = folder / "to_annotate" / "clipper_frames.csv"
        imported.to_annotate.to_csv(path, index=False, lineterminator="\n")
    return result


def listing(items: Collection, shown: int = 5) -> str:
    """The first few of many, for a message."""
    head = ", ".join(str(item) for item in list(items)[:shown])
    return head if len(items) <= shown else f"{head}, ... ({len(items)} in all)"


def chosen(found: Iterable[str], videos: Collection[str], source: Path) -> list[str]:
    """The videos that were asked for, all where none was; DatasetError for one not found."""
    found = sorted(found)
    missing = [video for video in videos if video not in found]
    if missing:
        have = listing(found) or "none"
        raise DatasetError([f"{source}: no video {listing(missing)} (there: {have})"])
    return [video for video in found if not videos or video in videos]


def named_files(folder: Path, pattern: str) -> tuple[list[re.Match], list[str]]:
    """Files whose whole name matches (as matches, sorted by name), and the names of all others."""
    names = sorted(path.name for path in folder.iterdir())
    matches = [re.fullmatch(pattern, name) for name in names]
    strangers = [name for name, match in zip(names, matches, strict=True) if match is None]
    return [match for match in matches if match], strangers


def skipped(folder: Path, strangers: list[str], example: str) -> list[str]:
    """The note on files that are none of the source's, nothing where there are none."""
    what = f"{len(strangers)} file{'s' * (len(strangers) > 1)} skipped"
    names = listing([repr(name) for name in strangers], shown=20)
    return [f"{folder}: {what}, not named like {example}: {names}"] if strangers else []


def read_table(
    path: Path, columns: dict[str, str], separator: str = ",", needed: int | None = None
) -> pd.DataFrame:
    """Cells of a text table as strings, indexed by line.

    Args:
        columns: pattern of each column's cells, in the order of the file: another order is
            refused, for nothing tells which of header and cells would be right.
        needed: the columns after so many may be left out together.

    Raises:
        DatasetError: with every problem, by file and line.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            lines = enumerate(csv.reader(file, delimiter=separator, strict=True), 1)
            rows = {line: row for line, row in lines if row}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError([f"{path}: cannot be read: {error}"]) from error
    header = rows.pop(min(rows), []) if rows else []
    names = list(columns)
    if header not in (names, names[:needed]):
        what = f"the columns {', '.join(header) or '(none)'}"
        raise DatasetError([f"{path}:1: {what} (expected, in this order: {', '.join(names)})"])
    problems = [
        f"{path}:{line}: {len(row)} cells (expected {len(header)})"
        for line, row in rows.items()
        if len(row) != len(header)
    ]
    if problems:
        raise DatasetError(_first(problems, path))
    table = pd.DataFrame([*rows.values()], index=[*rows], columns=header, dtype="str")
    for column in header:
        for line, cell in table.loc[~table[column].str.fullmatch(columns[column]), column].items():
            problems.append(
                f"{path}:{line}: {column} {cell!r} (expected {columns[column]}, as a pattern)"
            )
    if problems:
        raise DatasetError(_first(problems, path))
    return table


def _first(problems: list[str], path: Path, shown: int = 20) -> list[str]:
    """A wrong separator makes every line of a long file a problem: some of them will do."""
    more = [f"{path}: and {len(problems) - shown} more"] if len(problems) > shown else []
    return problems[:shown] + more


def from_tool_list(
    video: str, frames: np.ndarray, listed: np.ndarray, fps: float, annotator: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What a list of the tools in some frames says of clip appliers.

    Args:
        frames: (N,) int, the frames of the list, ascending. What is not listed is not labelled.
        listed: (N,) bool, whether a clip applier is in them.
        annotator: the list's name.

    Returns:
        Annotations "absent" of the frames without a clip applier, and frames to annotate: those
        with one, and those within `MARGIN` seconds of one.
    """
    frames, listed = np.asarray(frames, dtype="int64"), np.asarray(listed, dtype=bool)
    marks = np.concatenate([[-np.inf], frames[listed], [np.inf]])
    after = np.searchsorted(marks, frames)
    distance = np.minimum(frames - marks[after - 1], marks[after] - frames)
    near = distance <= MARGIN * fps
    absent = pd.DataFrame({"video": video, "frame": frames[~near], "annotator": annotator})
    absent = absent.assign(label="absent", cause="no_clipper")
    candidates = {"video": video, "frame": frames[near], "listed": listed[near].astype(int)}
    return absent, pd.DataFrame(candidates)


def phase_runs(video: str, frames: Sequence[int], phases: Sequence[str]) -> pd.DataFrame:
    """Runs of one phase in consecutive frames: video, start, end (exclusive), phase."""
    frames, phases = np.asarray(frames, dtype="int64"), np.asarray(phases)
    new = np.ones(len(frames), dtype=bool)
    new[1:] = (np.diff(frames) != 1) | (phases[1:] != phases[:-1])
    last = np.roll(new, -1)
    runs = {"start": frames[new], "end": frames[last] + 1, "phase": phases[new]}
    return pd.DataFrame({"video": video, **runs})


def clamp(boxes: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Clamp boxes to their pictures.

    Args:
        boxes: video, frame, tool, x0, y0, x1, y1, in pixels; width and height of the picture; and
            file, which is named in messages.

    Returns:
        The rows of boxes.csv, and notes: how many were clamped, how far outside they were, and how
        many were listed twice.

    Raises:
        DatasetError: for boxes whose corners are in the wrong order, or far outside the picture.
    """
    size = boxes[["width", "height"] * 2].to_numpy(dtype=float)
    corners = boxes[CORNERS].to_numpy(dtype=float)
    clamped = np.clip(corners, 0, size)
    ordered = (corners[:, :2] < corners[:, 2:]).all(axis=1)
    inside = (clamped[:, :2] < clamped[:, 2:]).all(axis=1)
    near = (np.abs(corners - clamped) <= OUTSIDE * size).all(axis=1)
    problems = []
    for rows, expected in (
        (boxes[~ordered], "x0 below x1, y0 below y1"),
        (boxes[ordered & ~inside], "a box that overlaps the picture"),
        (
            boxes[ordered & inside & ~near],
            f"at most {OUTSIDE:.0%} of its side outside: other columns, or other units?",
        ),
    ):
        for row in rows.itertuples():
            box = f"box {row.x0:g}, {row.y0:g}, {row.x1:g}, {row.y1:g}"
            picture = f"a picture of {row.width} x {row.height}"
            problems.append(f"{row.file}: {row.tool}: {box} in {picture} (expected {expected})")
    if problems:
        raise DatasetError(problems)
    beyond = np.abs(corners - clamped).max(axis=1, initial=0)
    kept = boxes.assign(**dict(zip(CORNERS, clamped.T, strict=True)))
    kept = kept[[*TABLES["boxes"].columns]].drop_duplicates()
    notes = []
    if (beyond > 0).any():
        which = listing(sorted({Path(file).name for file in boxes["file"][beyond > 0]}), shown=3)
        count = f"{(beyond > 0).sum()} of {len(boxes)} boxes"
        notes.append(
            f"{count} reached outside the picture, by up to {beyond.max():.3g} pixels: "
            f"clamped to it ({which})"
        )
    if len(kept) < len(boxes):
        notes.append(f"{len(boxes) - len(kept)} boxes are listed twice: kept once")
    return kept, notes
