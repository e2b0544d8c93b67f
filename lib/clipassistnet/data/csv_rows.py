"""The rows of a CSV file as text, unchecked: for tables that a study has already validated."""

import csv
import io
from pathlib import Path

from clipassistnet.data.file_names import composed


def read(path: Path) -> list[dict[str, str]]:
    """A dict for each row, by the names of the header; UTF-8, with or without a byte order mark.

    Blank rows, which spreadsheets add, are left out. Letters are composed, as in the tables that
    `dataset.read` returns.
    """
    text = composed(path.read_bytes().decode("utf-8-sig"))
    rows = csv.DictReader(io.StringIO(text, newline=""))
    return [row for row in rows if any(row.values())]
