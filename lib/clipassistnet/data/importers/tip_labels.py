"""Tip labels of a labelling tool's export: checked, and each on its frame."""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from clipassistnet.data.dataset import DatasetError
from clipassistnet.data.importers.merging import KEY
from clipassistnet.data.schema import CAUSES, LABELS

ALLOWED = {"label": LABELS, "cause": ("", *CAUSES), "confidence": ("", "1", "2", "3")}
# From what an export calls a frame to video and frame; ValueError where there is no such frame.
Place = Callable[[str], tuple[str, int]]


class Mark(NamedTuple):
    """One tag or shape on a frame.

    `where` names it in messages; `frame` is the frame's number, or the name of its picture. The tip
    label is `name` itself, if it is one of `LABELS`, and the attribute `tip` otherwise.
    """

    where: str
    frame: str
    name: str
    attributes: dict[str, str]


def table(export: Path, marks: Iterable[Mark], place: Place) -> tuple[pd.DataFrame, list[str]]:
    """The labels of one export.

    Returns:
        A table (video, frame, label, cause, confidence), and notes.

    Raises:
        DatasetError: with every label that is unknown, lies on no frame or contradicts another.
    """
    rows, problems = [], []
    others: Counter[str] = Counter()
    for mark in marks:
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
        found = f"; found {_counts(others)}" if others else ""
        expected = "expected labels visible, invisible or absent"
        problems.append(f"{export}: no tip label ({expected}){found}")
    labels = pd.DataFrame(rows, columns=[*KEY, *ALLOWED]).drop_duplicates()
    problems += _contradictions(export, labels)
    if problems:
        raise DatasetError(problems)
    notes = [f"{export}: {len(labels)} frames labelled"]
    if others:
        notes.append(f"{export}: no tip labels, left out: {_counts(others)}")
    return labels, notes


def _contradictions(export: Path, labels: pd.DataFrame) -> list[str]:
    problems = []
    for (name, frame), marks in labels[labels.duplicated(KEY, keep=False)].groupby(KEY):
        found = " and ".join(" ".join(row) for row in marks[[*ALLOWED]].to_numpy())
        problems.append(f"{export}: {name}, frame {frame}: {found} (expected one label a frame)")
    return problems


def _counts(others: Counter[str]) -> str:
    return ", ".join(f"{count} of {name!r}" for name, count in sorted(others.items()))
