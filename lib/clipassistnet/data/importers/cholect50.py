"""CholecT50: pictures of 50 cholecystectomies, one a second, with instruments, actions and phases.

Nwoye et al., Medical Image Analysis 78 (2022). The files are `videos/VIDNN/SSSSSS.png`, where
SSSSSS is the second, and `labels/VIDNN.json`. A second without an entry is unlabelled; a second
with an empty entry shows no instrument.
"""

import json
import re
from collections.abc import Collection
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from clipassistnet.data.dataset import DatasetError
from clipassistnet.data.file_names import is_utf8
from clipassistnet.data.importers.boxes import CORNERS, clamp
from clipassistnet.data.importers.imported import Imported
from clipassistnet.data.importers.source_files import (
    checked_source,
    chosen,
    listing,
    named_files,
    skipped,
)
from clipassistnet.data.importers.tool_lists import (
    LICENCE,
    PHASES,
    TOOLS,
    from_tool_list,
    phase_runs,
)
from clipassistnet.data.patients import patients

NAME = "cholect50"
FPS = 1
CLIPPER = TOOLS.index("Clipper")
# A row of a label file: the ids of triplet, instrument, verb, target and phase; then score and box
# (x, y, width, height as shares of the picture) of instrument and target. -1 means none.
TRIPLET, INSTRUMENT, BOX, VERB, TARGET, PHASE, LENGTH = 0, 1, slice(3, 7), 7, 8, 14, 15
# How many ids there are, for each column that holds one.
IDS = {TRIPLET: 100, INSTRUMENT: 6, VERB: 10, TARGET: 15, PHASE: len(PHASES)}
Row = list[Any]  # numbers, of which scores and boxes only are fractions
PART = {INSTRUMENT: "instrument", VERB: "verb", TARGET: "target"}


def read(source: str | Path, videos: Collection[str] = ()) -> Imported:
    """Read CholecT50's instruments, their boxes (where the file has them) and phases.

    The data set has no tip labels. Seconds near a clip applier are to be annotated. All other
    labelled seconds are labelled absent by the annotator "cholect50" (see `tool_lists.MARGIN`).

    Args:
        source: the folder of the data set; it is searched with all folders in it.
        videos: import these only, e.g. ["VID70"]. Empty: all.

    Raises:
        DatasetError: with every problem, such as labels and pictures that do not fit each other,
            or columns in a wrong order (the ids of triplet, instrument, verb and target of a row
            then contradict each other).
    """
    source = checked_source(source, "CholecT50")
    found = [path for path in source.rglob("VID*") if re.fullmatch("VID[0-9]+", path.stem)]
    labels = _by_video([path for path in found if path.suffix == ".json"])
    folders = _by_video([path for path in found if path.is_dir()])
    problems, parts = [], []
    for video in chosen(labels.keys() | folders.keys(), videos, source):
        try:
            parts.append(_video(source, video, labels.get(video), folders.get(video)))
        except DatasetError as error:
            problems += error.problems
    if not parts and not problems:
        problems = [f"{source}: no videos (expected labels/VID01.json with videos/VID01)"]
    if problems:
        raise DatasetError(problems)
    rows, absent, to_annotate, phases, boxes, notes = zip(*parts, strict=True)
    table = pd.DataFrame(rows).assign(split="", fps=FPS, clipper="", source=NAME, licence=LICENCE)
    kept, box_notes = clamp(pd.concat(boxes, ignore_index=True))
    return Imported(
        table,
        pd.concat(absent, ignore_index=True),
        pd.concat(to_annotate, ignore_index=True),
        [*chain(*notes), *box_notes],
        boxes=kept if len(kept) else None,
        phases=pd.concat(phases, ignore_index=True),
    )


def _by_video(paths: list[Path]) -> dict[str, Path]:
    """The only path of each video; DatasetError where there are several."""
    found: dict[str, Path] = {}
    problems = []
    for path in paths:
        first = found.setdefault(path.stem, path)
        if first != path:
            problems.append(f"{path}: found twice, also as {first}")
        elif not is_utf8(path):
            problems.append(f"{str(path)!r}: a name that is not UTF-8 (expected UTF-8)")
    if problems:
        raise DatasetError(problems)
    return found


def _video(source: Path, video: str, path: Path | None, folder: Path | None) -> tuple:
    """Row of videos.csv, annotations, frames to annotate, phases, boxes and notes of one video."""
    if path is None or folder is None:
        what = f"labels {video}.json" if path is None else f"folder {video} of pictures"
        raise DatasetError([f"{source}: no {what}"])
    if video not in patients(NAME):
        what = f"{path}: {video}: the patient is unknown"
        raise DatasetError([f"{what} (expected one of CholecT50's videos, see patients.csv)"])
    labels, count = _labels(path, video)
    matches, others = named_files(folder, r"(?P<second>[0-9]{6})\.png")
    pictures = [int(match["second"]) for match in matches]
    notes = skipped(folder, others, "000030.png")
    seconds = np.array(sorted(labels), dtype="int64")
    try:
        _check_pictures(folder, pictures, labels, count)
    except DatasetError as error:
        raise DatasetError(error.problems + [f"note: {note}" for note in notes]) from error
    unlabelled = set(range(max(pictures) + 1)) - set(labels)
    if unlabelled:
        what = f"{len(unlabelled)} of {max(pictures) + 1} seconds"
        notes.append(f"{video}: {what} are unlabelled: left out, not taken as negative")
    listed = [any(row[INSTRUMENT] == CLIPPER for row in labels[second]) for second in seconds]
    absent, to_annotate = from_tool_list(video, seconds, np.array(listed, bool), FPS, NAME)
    phased = [s for s in seconds.tolist() if labels[s] and labels[s][0][PHASE] >= 0]
    phases = phase_runs(video, phased, [PHASES[labels[s][0][PHASE]] for s in phased])
    contiguous = pictures == list(range(len(pictures)))
    row = {
        "video": video,
        "path": (folder.resolve() / "{frame:06d}.png").as_posix(),
        "patient": patients(NAME)[video],
        "frames": len(pictures) if contiguous else "",
    }
    return row, absent, to_annotate, phases, _boxes(video, folder, labels), notes


def _labels(path: Path, video: str) -> tuple[dict[int, list[Row]], int]:
    """Rows by labelled second, and num_frames; DatasetError where the file is not CholecT50's."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        annotations, categories = content["annotations"], content["categories"]
        stated = [content["video"], content["fps"], categories["instrument"][str(CLIPPER)]]
        triplets = {int(key): name.split(",") for key, name in categories["triplet"].items()}
        named = {c: {int(k): v for k, v in categories[p].items()} for c, p in PART.items()}
        rows = [(second, row) for second, each in annotations.items() for row in each]
        count = int(content["num_frames"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError([f"{path}: not a label file of CholecT50: {error!r}"]) from error
    expected = [int(video.removeprefix("VID")), FPS, "clipper"]
    if stated != expected:
        what = f"{path}: video, fps, instrument {CLIPPER}: {stated} (expected {expected})"
        raise DatasetError([what])
    problems = [
        f"{path}: second {second!r} (expected a whole number without leading zeros)"
        for second in annotations
        if not re.fullmatch("0|[1-9][0-9]{0,5}", second)
    ]
    wrong = ((second, _wrong(row, triplets, named)) for second, row in rows)
    problems += [f"{path}: second {second}: {what}" for second, what in wrong if what]
    if not annotations:
        problems.append(f"{path}: no second is labelled")
    if len(annotations) > count:
        what = f"{len(annotations)} labelled seconds, num_frames {count}"
        problems.append(f"{path}: {what}: labels and frames are shifted, or there are too many")
    if not problems:
        for second, each in annotations.items():
            phases = {row[PHASE] for row in each}
            if len(phases) > 1:
                problems.append(f"{path}: second {second}: phases {phases} (expected one)")
    if problems:
        raise DatasetError(problems)
    return {int(second): each for second, each in annotations.items()}, count


def _wrong(row: Row, triplets: dict[int, list[str]], named: dict[int, dict]) -> str:
    """What is wrong with a row: its form, an id, or ids that contradict each other; "" for none."""
    if not _are_numbers(row) or len(row) != LENGTH:
        return f"{row} (expected {LENGTH} numbers)"
    for column, ids in IDS.items():
        if row[column] not in range(-1, ids):
            return f"column {column} is {row[column]} (expected an id from -1 to {ids - 1})"
    box = row[BOX]
    if box != [-1] * 4 and not all(-0.5 <= share <= 1.5 for share in box):
        return f"box {box} (expected shares of the picture, from 0 to 1)"
    if row[TRIPLET] >= 0:
        parts = [named[column].get(row[column]) for column in PART]
        if parts != triplets.get(row[TRIPLET]):
            whole = ",".join(triplets.get(row[TRIPLET], ["unknown"]))
            what = f"instrument, verb, target {parts}, but triplet {row[TRIPLET]} is {whole}"
            return f"{what} (are the columns in another order?)"
    return ""


def _are_numbers(row: object) -> bool:
    # JSON's true and false would pass as numbers by isinstance.
    return isinstance(row, list) and all(type(cell) in (int, float) for cell in row)


def _check_pictures(folder: Path, pictures: list[int], labels: dict, count: int) -> None:
    """DatasetError unless every labelled second has its picture and no picture is too many.

    num_frames (`count`) is the number of sampled seconds. Where labels are sparse, it counts the
    labelled seconds only; the folder then holds the pictures of these, or of all seconds from 0 to
    the last labelled one.
    """
    missing = sorted(set(labels) - set(pictures))
    if missing:
        what = f"{folder}: no picture of the labelled seconds {listing(missing)}"
        raise DatasetError([f"{what} (expected 000000.png for second 0, and so on)"])
    sparse = max(labels) >= count
    whole = pictures == list(range(max(labels) + 1))
    if len(pictures) > count and not (sparse and whole):
        what = f"{len(pictures)} pictures, num_frames is {count}"
        if sparse:
            what += f", the last labelled second {max(labels)}"
        advice = "pictures and labels are shifted, or there are too many pictures"
        raise DatasetError([f"{folder}: {what}: {advice}"])


def _boxes(video: str, folder: Path, labels: dict[int, list[Row]]) -> pd.DataFrame:
    """Boxes of the instruments in pixels, and width and height of their pictures (see `clamp`)."""
    rows, problems = [], []
    for second, instances in sorted(labels.items()):
        boxed = [row for row in instances if row[INSTRUMENT] >= 0 and row[BOX] != [-1] * 4]
        if not boxed:
            continue
        path = folder / f"{second:06d}.png"
        try:
            with Image.open(path) as picture:
                width, height = picture.size
        except OSError as error:
            problems.append(f"{path}: unreadable picture: {error}")
            continue
        for row in boxed:
            x, y, w, h = row[BOX]
            corners = (x * width, y * height, (x + w) * width, (y + h) * height)
            rows.append((video, second, TOOLS[row[INSTRUMENT]], *corners, width, height, path))
    if problems:
        raise DatasetError(problems)
    columns = ["video", "frame", "tool", *CORNERS, "width", "height", "file"]
    return pd.DataFrame(rows, columns=columns)
