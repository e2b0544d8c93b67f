"""Tip labels made in CVAT (exports "CVAT for images 1.1" and "CVAT for video 1.1").

The label of a frame is a tag or a shape whose own label is visible, invisible or absent, or any
shape (such as a box around the clip applier) whose attribute `tip` has one of these values. The
attributes `cause` and `confidence` are imported too. A frame without such a label stays unlabelled.
A shape that is switched off (`outside`) labels nothing: a box, points, or a skeleton all of whose
points are switched off.
"""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pandas as pd

from clipassistnet.data.dataset import Dataset, DatasetError
from clipassistnet.data.importers import merging, tip_labels
from clipassistnet.data.importers.cvat_frames import in_video
from clipassistnet.data.importers.picture_names import in_images
from clipassistnet.data.importers.tip_labels import Mark, Place


def merge(
    folder: str | Path,
    exports: list[str | Path],
    annotator: str,
    *,
    video: str = "",
    part: bool = False,
) -> tuple[Dataset, list[str]]:
    """Add one annotator's exports to the annotations.csv of a dataset folder (see `merging`).

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

    def read(export: Path, folder: Path, videos: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
        root = _root(export)
        place = _place(export, root, folder, videos, video, part)
        return tip_labels.table(export, _marks(export, root), place)

    return merging.merge(folder, exports, annotator, read, video=video)


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


def _root(export: Path) -> Element:
    try:
        if not zipfile.is_zipfile(export):
            return ElementTree.parse(export).getroot()
        with zipfile.ZipFile(export) as archive, archive.open("annotations.xml") as file:
            return ElementTree.parse(file).getroot()
    except (OSError, KeyError, zipfile.BadZipFile, ElementTree.ParseError) as error:
        raise DatasetError([f"{export}: not an export of CVAT: {error}"]) from error


def _marks(export: Path, root: Element) -> Iterator[Mark]:
    """All tags and shapes of the frames that are not switched off."""
    for image in root.iter("image"):
        name = image.get("name", "")
        for each in image:
            where = f"image {name!r}"
            if not _outside(each, f"{export}: {where}"):
                yield Mark(where, name, each.get("label", ""), _attributes(each))
    for track in root.iter("track"):
        if _outside(track, f"{export}: track {track.get('id')}"):
            continue
        for shape in track:
            frame = shape.get("frame", "")
            where = f"track {track.get('id')}, frame {frame}"
            if not _outside(shape, f"{export}: {where}"):
                yield Mark(where, frame, track.get("label", ""), _attributes(shape))


def _outside(shape: Element, where: str) -> bool:
    """Whether a shape is switched off; a skeleton is where all of its points are."""
    own = shape.get("outside", "0")
    if own not in ("0", "1"):
        raise DatasetError([f"{where}: outside {own!r} (expected 0 or 1)"])
    parts = [part for part in shape if part.tag != "attribute"] if shape.tag == "skeleton" else []
    return own == "1" or (bool(parts) and all(_outside(part, where) for part in parts))


def _attributes(shape: Element) -> dict[str, str]:
    """The attributes of a shape, without those of a skeleton's points."""
    each = shape.findall("attribute")
    return {one.get("name", ""): (one.text or "").strip() for one in each}
