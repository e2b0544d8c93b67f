"""Reading a data set's own files: which ones there are, and strict tables of text."""

import csv
import re
from collections.abc import Collection, Iterable
from pathlib import Path

import pandas as pd

from clipassistnet.data.dataset import DatasetError


def listing(items: Collection, shown: int = 5) -> str:
    """The first few of many items as text, for a message."""
    head = ", ".join(str(item) for item in list(items)[:shown])
    return head if len(items) <= shown else f"{head}, ... ({len(items)} in all)"


def chosen(found: Iterable[str], videos: Collection[str], source: Path) -> list[str]:
    """The found videos that the user named, or all; DatasetError for one that was not found."""
    found = sorted(found)
    missing = [video for video in videos if video not in found]
    if missing:
        have = listing(found) or "none"
        raise DatasetError([f"{source}: no video {listing(missing)} (found: {have})"])
    return [video for video in found if not videos or video in videos]


def named_files(folder: Path, pattern: str) -> tuple[list[re.Match], list[str]]:
    """Files of a folder by whether their whole name matches the pattern.

    Returns:
        The matches, sorted by name, and the names of all other files.
    """
    names = sorted(path.name for path in folder.iterdir())
    matches = [re.fullmatch(pattern, name) for name in names]
    others = [name for name, match in zip(names, matches, strict=True) if match is None]
    return [match for match in matches if match], others


def skipped(folder: Path, names: list[str], example: str) -> list[str]:
    """A note on the files that do not belong to the data set; no note where there are none."""
    if not names:
        return []
    what = f"{len(names)} {'file' if len(names) == 1 else 'files'} skipped"
    shown = listing([repr(name) for name in names], shown=20)
    return [f"{folder}: {what}, not named like {example}: {shown}"]


def read_table(
    path: Path, columns: dict[str, str], separator: str = ",", needed: int | None = None
) -> pd.DataFrame:
    """Cells of a text table as strings, indexed by line.

    Args:
        columns: pattern of each column's cells, in the order of the file. Another order is
            refused, because either the header or the cells would be wrong, and it is unknown
            which.
        needed: number of leading columns that the file must have; the others may be left out
            together. None: all.

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
    """The first problems: a wrong separator would make a problem of every line of a long file."""
    more = [f"{path}: and {len(problems) - shown} more"] if len(problems) > shown else []
    return problems[:shown] + more
