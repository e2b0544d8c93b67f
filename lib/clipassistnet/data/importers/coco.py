"""Tip labels in COCO's JSON format, as CVAT, FiftyOne, Roboflow and others export it.

The label of a picture is an annotation whose category is visible, invisible or absent, or one whose
attribute `tip` has one of these values. The attributes `cause` and `confidence` are imported too.
A picture without such an annotation stays unlabelled.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from clipassistnet.data.dataset import Dataset, DatasetError
from clipassistnet.data.importers import json_export, merging, tip_labels
from clipassistnet.data.importers.json_export import field, text
from clipassistnet.data.importers.picture_names import in_images_or_video, numbering_note
from clipassistnet.data.importers.tip_labels import Mark

LISTS = ("images", "annotations", "categories")


def merge(
    folder: str | Path, exports: list[str | Path], annotator: str, *, video: str = ""
) -> tuple[Dataset, list[str]]:
    """Add one annotator's files to the annotations.csv of a dataset folder (see `merging`).

    Args:
        folder: a dataset folder; annotations.csv may be missing in it.
        exports: files in COCO's format, .json, or .zip with one .json in it.
        annotator: name of the annotator, which COCO's format does not have.
        video: the video that the pictures show, where their names do not say it.

    Returns:
        The merged dataset, and notes.

    Raises:
        DatasetError: with every problem. The folder is then as it was before.
    """

    def read(export: Path, folder: Path, videos: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
        try:
            marks = list(_marks(json_export.read(export, "COCO's format (.json)")))
        except ValueError as error:
            raise _named(export, error) from error
        place = in_images_or_video(folder, videos, video)
        labels, notes = tip_labels.table(export, marks, place)
        return labels, notes + numbering_note(export, labels, videos)

    return merging.merge(folder, exports, annotator, read, video=video)


def _named(export: Path, error: ValueError) -> DatasetError:
    return error if isinstance(error, DatasetError) else DatasetError([f"{export}: {error}"])


def _marks(content: Any) -> Iterator[Mark]:
    """One mark for each annotation; ValueError where the file does not have COCO's structure."""
    if not isinstance(content, dict) or not all(name in content for name in LISTS):
        found = ", ".join(content) if isinstance(content, dict) else type(content).__name__
        raise ValueError(f"found {found} (expected COCO's {', '.join(LISTS)})")
    images = _by_id(content, "images", "file_name")
    categories = _by_id(content, "categories", "name")
    for number, annotation in enumerate(field(content, "annotations", list, "the file")):
        where = f"annotations[{number}]"
        image = field(annotation, "image_id", int, where)
        category = field(annotation, "category_id", int, where)
        for name, found, known in (("image", image, images), ("category", category, categories)):
            if found not in known:
                expected = f"expected the id of one of {len(known)}"
                raise ValueError(f"{where}: {name}_id {found} ({expected})")
        attributes = annotation.get("attributes") or {}
        json_export.typed(attributes, dict, f"{where}: attributes")
        given = {name: text(value) for name, value in attributes.items()}
        yield Mark(f"{where}, {images[image]}", images[image], categories[category], given)


def _by_id(content: dict[str, Any], name: str, value: str) -> dict[int, str]:
    """{id: its value} of a list of the file."""
    found: dict[int, str] = {}
    for number, item in enumerate(field(content, name, list, "the file")):
        where = f"{name}[{number}]"
        key = field(item, "id", int, where)
        if key in found:
            raise ValueError(f"{where}: id {key} a second time (expected every id once)")
        found[key] = field(item, value, str, where)
    return found
