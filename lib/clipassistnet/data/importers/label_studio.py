"""Tip labels made in Label Studio (its export "JSON"), in projects of images or of videos.

The label of a frame is a choice or a label visible, invisible or absent, or any answer to a control
with the name `tip`. Answers to the controls `cause` and `confidence` are imported too: for the
region that they belong to, or for the whole picture.

In videos, rectangles label their frames from one key frame to the next, and the timeline its
ranges. Label Studio counts the frames of a video from 1, at the rate that its project was given
(24 unless the project says otherwise): a count that does not fit the video is refused.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import pandas as pd

from clipassistnet.data.dataset import Dataset, DatasetError
from clipassistnet.data.file_names import composed
from clipassistnet.data.importers import json_export, merging, tip_labels
from clipassistnet.data.importers.json_export import field, text, typed
from clipassistnet.data.importers.label_studio_results import regions
from clipassistnet.data.importers.picture_names import (
    in_images_or_video,
    names,
    numbering_note,
    require_constant_rate,
    video_files,
)
from clipassistnet.data.importers.source_files import listing
from clipassistnet.data.importers.tip_labels import Mark

UPLOADED = "[0-9a-f]{8}-"  # Label Studio puts this before the name of a file that was uploaded


class Chosen(NamedTuple):
    """One annotation of one task. `where` names it in messages."""

    where: str
    task: dict[str, Any]
    results: list[Any]


def merge(
    folder: str | Path,
    exports: list[str | Path],
    annotator: str,
    *,
    video: str = "",
    completed_by: str = "",
) -> tuple[Dataset, list[str]]:
    """Add one annotator's exports to the annotations.csv of a dataset folder (see `merging`).

    Args:
        folder: a dataset folder; annotations.csv may be missing in it.
        exports: files of Label Studio's export "JSON".
        annotator: name of the annotator in annotations.csv.
        video: the video that the tasks show, where their file names do not say it.
        completed_by: Label Studio's number or address of the annotator. Empty: the exports must
            be of one annotator.

    Returns:
        The merged dataset, and notes.

    Raises:
        DatasetError: with every problem. The folder is then as it was before.
    """

    def read(export: Path, folder: Path, videos: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
        content = json_export.read(export, "Label Studio (JSON)")
        marks: list[Mark] = []
        problems = []
        try:
            annotations, notes = _chosen(content, completed_by)
        except ValueError as error:
            raise DatasetError([f"{export}: {error}"]) from error
        places = _Places(folder, videos, video)
        for annotation in annotations:
            try:
                marks += places.marks(annotation)
            except DatasetError as error:
                problems += error.problems
            except ValueError as error:
                problems.append(f"{export}: {error}")
        if problems:
            raise DatasetError(problems)
        labels, more = tip_labels.table(export, marks, places.found.__getitem__)
        notes = [f"{export}: {note}" for note in notes]
        named = labels[labels["video"].isin(places.named)]
        return labels, more + notes + numbering_note(export, named, videos)

    return merging.merge(folder, exports, annotator, read, video=video)


def _chosen(content: Any, completed_by: str) -> tuple[list[Chosen], list[str]]:
    """The annotations of one annotator that were not skipped, and notes."""
    found: list[Chosen] = []
    skipped = empty = 0
    people = set()
    for number, task in enumerate(typed(content, list, "the file")):
        where = f"[{number}]"
        if isinstance(task, dict) and "data" not in task:
            found_keys = listing(list(task))
            expected = 'expected the export "JSON", not "JSON-MIN" or another'
            raise ValueError(f"{where}: no 'data' among {found_keys} ({expected})")
        annotations = field(task, "annotations", list, where)
        empty += not annotations
        for index, annotation in enumerate(annotations):
            place = f"{where}.annotations[{index}]"
            if typed(annotation, dict, place).get("was_cancelled"):
                skipped += 1
                continue
            names_of = _people(annotation.get("completed_by"))
            if completed_by and completed_by not in names_of:
                continue
            people.add(names_of)
            found.append(Chosen(place, task, field(annotation, "result", list, place)))
    if len(people) > 1:
        each = listing(sorted(" or ".join(person) or "no name" for person in people))
        raise ValueError(f"annotations by {each} (expected one: choose with --completed-by)")
    if completed_by and not found:
        raise ValueError(f"no annotation by {completed_by!r} (expected a number or an address)")
    notes = [f"{skipped} annotations were skipped by the annotator"] if skipped else []
    return found, notes + ([f"{empty} tasks without annotation"] if empty else [])


def _people(completed_by: Any) -> tuple[str, ...]:
    """Number and address of an annotator, as far as the export has them."""
    if isinstance(completed_by, dict):
        given = [text(completed_by.get(name)) for name in ("id", "email")]
        return tuple(name for name in given if name)
    return (text(completed_by),) if completed_by is not None else ()


class _Places:
    """Where the labels of tasks lie.

    `found` maps a mark's frame to video and frame; `named` are the videos of pictures.
    """

    def __init__(self, folder: Path, videos: pd.DataFrame, video: str) -> None:
        self._folder, self._video = folder, video
        self._files = video_files(videos)
        self._place = in_images_or_video(folder, videos, video)
        self._checked: set[str] = set()
        self.found: dict[str, tuple[str, int]] = {}
        self.named: set[str] = set()

    def marks(self, annotation: Chosen) -> Iterator[Mark]:
        """The labels of one annotation; ValueError where they cannot be placed."""
        where, task, results = annotation
        values = [typed(result, dict, where).get("value") for result in results]
        timed = any(isinstance(v, dict) and ("sequence" in v or "ranges" in v) for v in values)
        sources = _sources(field(task, "data", dict, where))
        row = self._file(where, sources, required=timed)
        length = None if row is None else int(row["frames"])
        for region in regions(results, where, length):
            places = [("", 0)]
            if region.labels and row is None:
                places = [self._picture(region.where, sources)]
            elif region.labels and region.frames is None:
                expected = "expected labels of its frames: TimelineLabels or VideoRectangle"
                raise ValueError(f"{region.where}: a label of the whole video ({expected})")
            elif region.labels and row is not None:
                places = [(row["video"], frame) for frame in region.frames or []]
            for label in region.labels or [region.other]:
                given = {"tip": label} if region.labels else {}
                for place in places:
                    frame = f"{place[0]}, frame {place[1]}"
                    self.found[frame] = place
                    yield Mark(region.where, frame, label, region.attributes | given)

    def _file(self, where: str, sources: list[str], required: bool) -> pd.Series | None:
        """The row of the task's video file; None for a task of a picture."""
        stored = names(self._files).map(composed)
        wanted = {name.rsplit("/", 1)[-1] for name in sources}
        rows = self._files[stored.isin(wanted)]
        if required and self._video:
            rows = self._files[self._files["video"] == self._video]
        if len(rows) != 1 and (required or len(rows)):
            what = f"{len(rows)} video files of videos.csv for {listing(sources)}"
            raise ValueError(f"{where}: {what} (expected one; --video names it)")
        if rows.empty:
            return None
        row = rows.iloc[0]
        if row["video"] not in self._checked:
            require_constant_rate(self._folder, row)
            self._checked.add(row["video"])
        return row

    def _picture(self, where: str, sources: list[str]) -> tuple[str, int]:
        """Video and frame of the task's picture."""
        found, reasons = set(), []
        for name in sources:
            try:
                found.add(self._place(name))
            except ValueError as error:
                reasons.append(f"{name}: {error}")
        if len(found) != 1:
            raise ValueError(f"{where}: {'; '.join(reasons) or 'several pictures'}")
        video, frame = found.pop()
        self.named.add(video)
        return video, frame


def _sources(data: dict[str, Any]) -> list[str]:
    """Names of the files of a task, with their folders as far as these are the user's own.

    Files come as /data/upload/1/0a1b2c3d-name.jpg, as /data/local-files/?d=folder/name.jpg, as an
    address, or as a path.
    """
    found = []
    for value in data.values():
        if not isinstance(value, str) or ("/" not in value and "." not in value):
            continue
        name = value.replace("\\", "/")
        if "://" in name or name.startswith("/data/"):
            parts = urlsplit(name)
            given = parse_qs(parts.query).get("d")
            name = given[0] if given else unquote(parts.path)
        if value.startswith("/data/upload/"):
            name = re.sub(f"^{UPLOADED}", "", name.rsplit("/", 1)[-1])
        found.append(composed(name))
    return found
