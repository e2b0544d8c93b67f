"""The rows of a CSV file as text, unchecked: for tables that a study has already validated."""

import csv
from pathlib import Path


def read(path: Path) -> list[dict[str, str]]:
    """A dict for each row, by the names of the header; UTF-8, with or without a byte order mark.

    Blank rows, which spreadsheets add, are left out.
    """
    with open(path, newline="", encoding="utf-8-sig") as file:
        return [row for row in csv.DictReader(file) if any(row.values())]
