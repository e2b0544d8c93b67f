"""Tip labels made in CVAT (exports "CVAT for images 1.1" and "CVAT for video 1.1").

The label of a frame is a tag or a shape whose own label is visible, invisible or absent, or any
shape (such as a box around the clip applier) whose attribute `tip` has one of these values. The
attributes `cause` and `confidence` are imported too. A frame without such a label stays unlabelled.
"""

import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pandas as pd

from clipassistnet import files
from clipassistnet.data import dataset
from clipassistnet.data.dataset import Dataset, DatasetError
from clipassistnet.data.importers import cholec80, cholect50
from clipassistnet.data.importers.cvat_frames import Place, in_images, in_video
from clipassistnet.data.importers.source_files import listing
from clipassistnet.data.schema import CAUSES, LABELS

TOOL_LISTS = (cholec80.NAME, cholect50.NAME)
KEY = ["video", "frame"]
ALLOWED = {"label": LABELS, "cause": ("", *CAUSES), "confidence": ("", "1", "2", "3")}


class Mark(NamedTuple):
    """One tag or shape on a frame.

    `where` names it in messages; `frame` is the frame's number, or the name of its picture.
    """

    where: str
    frame: str
    name: str
    attributes: dict[str, str]


def merge(
    folder: str | Path,
    exports: list[str | Path],
    annotator: str,
    *,
    video: str = "",
    part: bool = False,
) -> tuple[Dataset, list[str]]:
    """Add one annotator's exports to the annotations.csv of a dataset folder.

    Annotators do not see the frames that a list of tools or boxes calls absent. These frames become
    absent for this annotator too, unless an export labels them. In the videos of the exports, this
    replaces the rows that the importer of the list has written.

    Args:
        folder: a dataset folder; annotations.csv may be missing in it.
        exports: files as CVAT writes them, .xml or .zip, each of one task or job.
        annotator: name of the annotator, which CVAT does not export.
        video: the video that the exports show, where their file names do not say it.
        part: the task shows a part of its video on purpose.

    Returns:
        The merged dataset, and notes.

    Raises:
        DatasetError: with every problem. The folder is then as it was before.
    """
    folder = Path(folder).resolve()
    videos = dataset.read_videos(folder)
    if video and video not in set(videos["video"]):
        raise DatasetError([f"{folder / 'videos.csv'}: no video {video!r}"])
    new, notes = _collected(folder, videos, exports, video, part)
    new["annotator"] = annotator
    path = folder / "annotations.csv"
    old = dataset.read_text(folder, "annotations") if path.exists() else new.iloc[:0]
    old = old.assign(**{column: "" for column in new if column not in old})
    old, absent = _by_list(old, new, annotator)
    if len(absent):
        notes.append(f"{len(absent)} frames absent, by the list of tools or boxes")
    _refuse_twice(path, old, new)
    return _replace(path, pd.concat([old, new, absent])), notes


def _collected(
    folder: Path, videos: pd.DataFrame, exports: list[str | Path], video: str, part: bool
) -> tuple[pd.DataFrame, list[str]]:
    """The labels of all exports, and notes; DatasetError with the problems of all exports."""
    parts, problems = [], []
    for export in map(Path, exports):
        try:
            root = _root(export)
            parts.append(_labels(export, root, _place(export, root, folder, videos, video, part)))
        except DatasetError as error:
            problems += error.problems
    if problems:
        raise DatasetError(problems)
    labels = pd.concat([rows for rows, _ in parts]).astype({"frame": "str"})
    return labels, [note for _, notes in parts for note in notes]


def _refuse_twice(path: Path, old: pd.DataFrame, new: pd.DataFrame) -> None:
    twice = new.merge(old, on=[*KEY, "annotator"])
    if len(twice):
        annotator = twice["annotator"].iloc[0]
        frames = listing([" ".join(row) for row in twice[KEY].itertuples(index=False)])
        advice = "remove the earlier labels from annotations.csv, or name another annotator"
        raise DatasetError([f"{path}: {annotator} has labelled {frames} already: {advice}"])


def _by_list(
    old: pd.DataFrame, new: pd.DataFrame, annotator: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The old labels that stay, and this annotator's "absent" of the frames of the list."""
    here = old["video"].isin(new["video"])
    # As the importers write it. A person's "absent" has another cause, or a confidence.
    listed = (old[["label", "cause", "confidence"]] == ["absent", "no_clipper", ""]).all(axis=1)
    done = pd.concat([new[KEY], old.loc[old["annotator"] == annotator, KEY]])
    frames = old.loc[here & listed, KEY].drop_duplicates()
    frames = frames.merge(done.drop_duplicates(), how="left", on=KEY, indicator=True)
    absent = frames.loc[frames["_merge"] == "left_only", KEY]
    absent = absent.assign(label="absent", cause="no_clipper", confidence="", annotator=annotator)
    return old[~(here & old["annotator"].isin(TOOL_LISTS))], absent


def _replace(path: Path, annotations: pd.DataFrame) -> Dataset:
    """Write annotations.csv and read the dataset; where that fails, the file is as before."""
    before = path.read_bytes() if path.exists() else None

    def order(column: pd.Series) -> pd.Series:
        return column.str.zfill(15) if column.name == "frame" else column

    annotations = annotations.sort_values([*KEY, "annotator"], key=order)
    dataset.write(path.parent, annotations=annotations)
    try:
        return dataset.read(path.parent)
    except DatasetError:
        if before is None:
            path.unlink()
        else:
            files.write(path, before)
        raise


def _place(
    export: Path, root: Element, folder: Path, videos: pd.DataFrame, video: str, part: bool
) -> Place:
    """The function that finds video and frame from what this export calls a frame."""
    task = root.find("meta/task")
    task = root.find("meta/job") if task is None else task
    if task is None:
        raise DatasetError([f"{export}: no task (expected CVAT's export of a task, not a project)"])
    if task.findtext("mode") == "interpolation":
        try:
            return in_video(task, folder, videos, video, part)
        except DatasetError as error:
            raise DatasetError([f"{export}: {what}" for what in error.problems]) from error
    if root.find("track") is not None:
        what = "tracks of a task made of images carry no file names"
        raise DatasetError([f'{export}: {what} (expected its export as "CVAT for images 1.1")'])
    return in_images(videos, video)


def _labels(export: Path, root: Element, place: Place) -> tuple[pd.DataFrame, list[str]]:
    """Labels of one export (video, frame, label, cause, confidence), and notes."""
    rows, problems = [], []
    others: Counter[str] = Counter()
    for mark in _marks(root):
        label = mark.name if mark.name in LABELS else mark.attributes.get("tip")
        if label is None:
            others[mark.name] += 1
            continue
        row = {"label": label}
        row |= {name: mark.attributes.get(name, "") for name in ("cause", "confidence")}
        problems += [
            f"{export}: {mark.where}: {name} {value!r} (expected one of {', '.join(ALLOWED[name])})"
            for name, value in row.items()
            if value not in ALLOWED[name]
        ]
        try:
            rows.append(dict(zip(KEY, place(mark.frame), strict=True)) | row)
        except ValueError as error:
            problems.append(f"{export}: {mark.where}: {error}")
    if not rows and not problems:
        problems.append(f"{export}: no tip label (expected tags visible, invisible or absent)")
    table = pd.DataFrame(rows, columns=[*KEY, *ALLOWED]).drop_duplicates()
    for (name, frame), marks in table[table.duplicated(KEY, keep=False)].groupby(KEY):
        found = " and ".join(" ".join(row) for row in marks[[*ALLOWED]].to_numpy())
        problems.append(f"{export}: {name}, frame {frame}: {found} (expected one label a frame)")
    if problems:
        raise DatasetError(problems)
    notes = [f"{export}: {len(table)} frames labelled"]
    if others:
        named = ", ".join(f"{count} of {name!r}" for name, count in sorted(others.items()))
        notes.append(f"{export}: no tip labels, left out: {named}")
    return table, notes


def _root(export: Path) -> Element:
    try:
        if not zipfile.is_zipfile(export):
            return ElementTree.parse(export).getroot()
        with zipfile.ZipFile(export) as archive, archive.open("annotations.xml") as file:
            return ElementTree.parse(file).getroot()
    except (OSError, KeyError, zipfile.BadZipFile, ElementTree.ParseError) as error:
        raise DatasetError([f"{export}: not an export of CVAT: {error}"]) from error


def _marks(root: Element) -> Iterator[Mark]:
    """All tags and shapes of the frames; shapes of a track only where it is in the picture."""
    for image in root.iter("image"):
        name = image.get("name", "")
        for each in image:
            yield Mark(f"image {name!r}", name, each.get("label", ""), _attributes(each))
    for track in root.iter("track"):
        for shape in track:
            if shape.get("outside") != "1":
                frame = shape.get("frame", "")
                where = f"track {track.get('id')}, frame {frame}"
                yield Mark(where, frame, track.get("label", ""), _attributes(shape))


def _attributes(element: Element) -> dict[str, str]:
    return {each.get("name", ""): (each.text or "").strip() for each in element.iter("attribute")}
