"""m2cai16-tool-locations: frames of ten operations with tool boxes, and our tip-visibility labels.

Jin et al., WACV 2018. The layout is that of Pascal VOC, `JPEGImages/vVV_FFFFFF.jpg` with
`Annotations/vVV_FFFFFF.xml`; FFFFFF is the frame at 25 a second. The lists in `ImageSets` mix the
frames of one patient: never split by them.
"""

from collections.abc import Collection
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
from PIL import Image

from clipassistnet.data.dataset import DatasetError
from clipassistnet.data.importers import pascal_voc
from clipassistnet.data.importers.boxes import CORNERS, clamp
from clipassistnet.data.importers.imported import Imported
from clipassistnet.data.importers.source_files import (
    checked_source,
    chosen,
    listing,
    named_files,
    read_table,
    skipped,
)
from clipassistnet.data.importers.tool_lists import LICENCE
from clipassistnet.data.patients import patients
from clipassistnet.data.schema import CAUSES, COUNT, LABELS

NAME = "m2cai16-tool-locations"
FPS = 25
KEY = ["video", "frame"]
STEM = r"(?P<stem>(?P<video>v[0-9]{2})_(?P<frame>[0-9]{6}))"
PUBLISHED = Path(__file__).parent / "m2cai16_tip_visibility" / "tip_visibility.csv"
LABEL_COLUMNS = {
    "video": "v[0-9]{2}",
    "frame": COUNT,
    "annotator": ".+",
    "label": "|".join(LABELS),
    "cause": "|".join([*CAUSES, ""]),
    "confidence": "[123]?",
}


def tip_visibility(path: str | Path = PUBLISHED) -> pd.DataFrame:
    """The tip-visibility labels published with this project, or those of another such file.

    The published file holds three annotators' labels of the clip-applier frames of seven patients;
    see the README beside it.

    Returns:
        Columns video, frame, annotator, label, cause, confidence. The last two may be missing in
        another file.

    Raises:
        DatasetError: with every problem, by line.
    """
    table = read_table(Path(path), LABEL_COLUMNS, needed=4)
    types = {"frame": "int64"}
    if "confidence" in table:
        table["confidence"] = pd.to_numeric(table["confidence"])
        types["confidence"] = "Int64"
    return table.astype(types).reset_index(drop=True)


def read(
    source: str | Path, labels: str | Path | None = None, videos: Collection[str] = ()
) -> Imported:
    """Read m2cai16-tool-locations with tip-visibility labels.

    A frame with a Clipper box gets its tip labels, or is listed as one to annotate. A frame without
    a Clipper box is labelled absent for each annotator of its video, because annotators saw only
    frames with such a box. A video with Clipper boxes but without tip labels gets no annotations.

    Args:
        source: the folder that holds JPEGImages and Annotations.
        labels: a file as `tip_visibility` reads it. None: tip_visibility.csv in the source folder
            where it exists, else the published labels.
        videos: import these only, e.g. ["v01", "v04"]. Empty: all.

    Raises:
        DatasetError: with every problem. Pictures, box files and labels must fit one to one;
            nothing is guessed.
    """
    source = checked_source(source, NAME)
    found, notes = _pairs(source)
    names = chosen(set(found["video"]), videos, source)
    found = found[found["video"].isin(names)]
    unknown = sorted(set(names) - set(patients(NAME)))
    if unknown:
        what = f"{source}: {listing(unknown)}: the patient is unknown"
        raise DatasetError([f"{what} (expected {listing(patients(NAME), shown=10)})"])
    boxes, box_notes = clamp(_boxes(source, found))
    path = Path(labels or _own_labels(source))
    annotations, to_annotate, label_notes = _annotations(found, boxes, path, labels is not None)
    rows = {
        "video": names,
        "path": [(source.resolve() / "JPEGImages" / f"{v}_").as_posix() for v in names],
        "patient": [patients(NAME)[video] for video in names],
    }
    table = pd.DataFrame(rows).assign(split="", fps=FPS, frames="", clipper="", source=NAME)
    table["path"] += "{frame:06d}.jpg"
    table["licence"] = LICENCE
    notes += [*box_notes, *label_notes]
    return Imported(table, annotations, to_annotate, notes, boxes=boxes)


def _own_labels(source: Path) -> Path:
    own = source / "tip_visibility.csv"
    return own if own.exists() else PUBLISHED


def _pairs(source: Path) -> tuple[pd.DataFrame, list[str]]:
    """Every frame (video, frame, stem) that has a picture and a box file, and notes."""
    folders = {source / "JPEGImages": "jpg", source / "Annotations": "xml"}
    missing = [f"{folder}: no such folder" for folder in folders if not folder.is_dir()]
    if missing:
        expected = f"the folder of {NAME}, with JPEGImages and Annotations in it"
        raise DatasetError([f"{what} (expected {expected})" for what in missing])
    stems, notes = [], []
    for folder, kind in folders.items():
        matches, others = named_files(folder, rf"{STEM}\.{kind}")
        stems.append({match["stem"]: match for match in matches})
        notes += skipped(folder, others, f"v01_002075.{kind}")
    pictures, files = stems
    problems = []
    for unpaired, what, other in (
        (sorted(pictures.keys() - files.keys()), "picture", "a box file in Annotations"),
        (sorted(files.keys() - pictures.keys()), "box file", "a picture in JPEGImages"),
    ):
        if unpaired:
            expected = f"{other} for each {what}"
            problems.append(f"{source}: {what} alone: {listing(unpaired)} (expected {expected})")
    rows = [(m["video"], int(m["frame"]), stem) for stem, m in pictures.items()]
    table = pd.DataFrame(rows, columns=["video", "frame", "stem"])
    shifted = table.loc[table["frame"] % FPS != 0, "stem"]
    if len(shifted):
        expected = f"a multiple of {FPS}: one frame a second has boxes; are names shifted?"
        problems.append(f"{source}: frame number of {listing(shifted)} (expected {expected})")
    if table.empty:
        problems.append(f"{source}: no frame (expected pictures such as v01_002075.jpg)")
    if problems:
        raise DatasetError(problems + [f"note: {note}" for note in notes])
    return table, notes


def _boxes(source: Path, found: pd.DataFrame) -> pd.DataFrame:
    """The boxes as the files have them, with width and height of their pictures (see `clamp`)."""
    rows, problems = [], []
    for video, frame, stem in found.itertuples(index=False):
        path = source / "Annotations" / f"{stem}.xml"
        try:
            with Image.open(source / "JPEGImages" / f"{stem}.jpg") as picture:
                size = picture.size
            for tool, corners in pascal_voc.objects(path, f"{stem}.jpg", size):
                rows.append((video, frame, tool, *corners, *size, path))
        except (ValueError, OSError, ElementTree.ParseError) as error:
            problems.append(f"{path}: {error}")
    if problems:
        raise DatasetError(problems)
    columns = ["video", "frame", "tool", *CORNERS, "width", "height", "file"]
    return pd.DataFrame(rows, columns=columns)


def _annotations(
    found: pd.DataFrame, boxes: pd.DataFrame, path: Path, named: bool
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Annotations, frames to annotate, and notes; `named`: the user named the file of labels."""
    labels = tip_visibility(path)
    here = labels[labels["video"].isin(found["video"])]
    clipper = boxes.loc[boxes["tool"] == "Clipper", KEY].drop_duplicates()
    if named and here.empty:
        videos = listing(sorted(set(found["video"])), shown=10)
        raise DatasetError([f"{path}: no label of the videos {videos} (expected some of them)"])
    _check_labels(here, found, clipper, path)
    bare = _without(clipper, here)
    unlabelled = set(clipper["video"]) - set(here["video"])
    absent = _without(found[KEY], clipper)
    absent = absent[~absent["video"].isin(unlabelled)]
    people = here[["video", "annotator"]].drop_duplicates()
    # A video without Clipper boxes has no tip labels: its frames are absent for every annotator.
    rest = pd.DataFrame({"video": sorted(set(absent["video"]) - set(people["video"]))})
    people = pd.concat([people, rest.merge(labels[["annotator"]].drop_duplicates(), how="cross")])
    rows = absent.merge(people, on="video").assign(label="absent", cause="no_clipper")
    annotations = pd.concat([here, rows]).sort_values([*KEY, "annotator"], ignore_index=True)
    labelled = here[KEY].drop_duplicates()
    notes = [
        f"tip labels from {path}: {len(labelled)} frames of {labelled['video'].nunique()} videos",
        f"{len(absent)} frames without a Clipper box: absent",
    ]
    for video, frames in bare.groupby("video"):
        notes.append(
            f"{video}: {len(frames)} frames with a Clipper box have no tip label: left out"
        )
    if unlabelled:
        notes.append(f"without annotations: {', '.join(sorted(unlabelled))}")
    if elsewhere := sorted(set(labels["video"]) - set(here["video"])):
        notes.append(f"labels of other videos, left out: {', '.join(elsewhere)}")
    return annotations, bare.assign(listed=1), notes


def _check_labels(
    labels: pd.DataFrame, found: pd.DataFrame, clipper: pd.DataFrame, path: Path
) -> None:
    """DatasetError unless every labelled frame has a picture and a Clipper box."""
    labels = labels[KEY].drop_duplicates()
    unpictured = _without(labels, found)
    problems = []
    for rows, expected in (
        (unpictured, "a picture of each"),
        (_without(_without(labels, clipper), unpictured), "a Clipper box in each"),
    ):
        for video, frames in rows.groupby("video")["frame"]:
            what = f"{video}: labels on the frames {listing(frames)}"
            problems.append(f"{path}: {what} (expected {expected}: of other frames, or shifted?)")
    if problems:
        raise DatasetError(problems)


def _without(rows: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """The rows whose video and frame are not among those of the others."""
    known = pd.MultiIndex.from_frame(others[KEY])
    return rows[~pd.MultiIndex.from_frame(rows[KEY]).isin(known)].reset_index(drop=True)
