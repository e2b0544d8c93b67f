"""Reading a data set's own files: which ones there are, and strict tables of text."""

import re
from collections.abc import Collection, Iterable
from pathlib import Path

import pandas as pd

from clipassistnet.data.csv_tables import Problems, read_cells
from clipassistnet.data.dataset import DatasetError
from clipassistnet.data.file_names import is_utf8


def listing(items: Collection, shown: int = 5) -> str:
    """The first few of many items as text, for a message."""
    head = ", ".join(str(item) for item in list(items)[:shown])
    return head if len(items) <= shown else f"{head}, ... ({len(items)} in all)"


def checked_source(folder: str | Path, of: str) -> Path:
    """The absolute path of a data set's folder.

    Raises:
        DatasetError: where it does not exist, or where its name cannot be written to a CSV file.
    """
    path = Path(folder).resolve()
    if not path.is_dir():
        raise DatasetError([f"{path}: no such folder (expected the folder of {of})"])
    if not is_utf8(path):
        raise DatasetError([f"{str(path)!r}: a name that is not UTF-8 (expected UTF-8: rename it)"])
    return path


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
    problems = Problems(path)
    names = list(columns)
    table = read_cells(path, problems, ",".join(names), separator)
    if table is None:
        raise DatasetError(problems.sorted())
    if list(table.columns) not in (names, names[:needed]):
        what = f"the columns {', '.join(table.columns) or '(none)'}"
        raise DatasetError([f"{path}:1: {what} (expected, in this order: {', '.join(names)})"])
    for column in table.columns:
        wrong = table[~table[column].str.fullmatch(columns[column])]
        problems.add_rows(wrong, [column], f"{columns[column]}, as a pattern")
    if problems.found:
        raise DatasetError(_first(problems.sorted(), path))
    return table


def _first(problems: list[str], path: Path, shown: int = 20) -> list[str]:
    """The first problems: a wrong separator would make a problem of every line of a long file."""
    more = [f"{path}: and {len(problems) - shown} more"] if len(problems) > shown else []
    return problems[:shown] + more
