"""CSV tables: their cells as text, their columns in types, and problems, each with its line.

A file that is no such CSV file (another separator, another encoding, a spreadsheet's own format)
gives one problem that names the cause. Blank rows and empty columns at the right end, which
spreadsheets add, are left out. All text is brought to Unicode's composed form (NFC): file systems
and programs write "ü" in two ways, and one name must not become two patients.
"""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from clipassistnet.data.file_names import composed
from clipassistnet.data.schema import TABLES, Column, Table

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
# How files begin that are often saved under the name of a CSV file.
FORMATS = {
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    b"PK\x03\x04": "a spreadsheet (such as .xlsx or .ods)",
    b"\xd0\xcf\x11\xe0": "a spreadsheet (such as .xls)",
    b"\x1f\x8b": "compressed (gzip)",
}
# Columns of text, in a dataset's tables and in those that the notebooks make.
WORDS = {name for table in TABLES.values() for name, column in table.columns.items() if column.text}
WORDS |= {"training_label", "observed", "subset", "held_out", "loss", "recipe", "model", "judged"}
UTF_8 = 'CSV text in UTF-8: in a spreadsheet, save it as "CSV UTF-8 (comma delimited)"'


class Problems:
    """Collects the problems of one file."""

    def __init__(self, path: Path):
        self.path = path
        self.found: list[tuple[int, str]] = []

    def add(self, line: int, what: str, expected: str) -> None:
        self.found.append((line, f"{self.path}:{line}: {what} (expected {expected})"))

    def add_rows(self, rows: pd.DataFrame, columns: Iterable[str], expected: str) -> None:
        """Add one problem for each of these rows (index: line) and quote these columns."""
        names = list(columns)
        for line, *values in rows[names].itertuples(name=None):
            cells = [repr(value) if isinstance(value, str) else value for value in values]
            pairs = zip(names, cells, strict=True)
            self.add(line, ", ".join(f"{name} {cell}" for name, cell in pairs), expected)

    def sorted(self) -> list[str]:
        return [text for _, text in sorted(self.found, key=lambda problem: problem[0])]


def read_result(path: str | Path) -> pd.DataFrame:
    """Read a table that this project has made, such as labels.csv or a run's predictions.

    Ids and other words stay text, whatever a parser would take them for (001, 1e5, NA, True). Only
    an empty cell is a missing value. Parquet files are read as well.
    """
    if str(path).endswith(".parquet"):
        return pd.read_parquet(path)
    types = dict.fromkeys(WORDS, "str")
    return pd.read_csv(path, dtype=types, keep_default_na=False, na_values=[""])


def read_cells(
    path: Path, problems: Problems, header: str, separator: str = ","
) -> pd.DataFrame | None:
    """Read the cells of a CSV file.

    Args:
        path: the file.
        problems: what is wrong is added here.
        header: the columns that an empty file should have, for the message.
        separator: of the cells.

    Returns:
        The cells as text, with the line of each row as index; rows with too few or too many cells
        are left out. None where the file is no such CSV file at all.
    """
    text = _text(path, problems)
    rows = None if text is None else _rows(text, problems, separator)
    if rows is None:
        return None
    if not rows:
        problems.add(1, "the file is empty", f"a header line with {header}")
        return None
    names = rows.pop(min(rows))
    while names and not names[-1].strip():
        names.pop()
    if len(set(names)) < len(names):
        problems.add(1, f"header {','.join(names)!r}", "each column once")
        return None
    for line, row in list(rows.items()):
        beyond = row[len(names) :]
        if len(row) < len(names) or any(cell.strip() for cell in beyond):
            problems.add(line, f"{len(row)} cells", f"{len(names)} as in the header")
            del rows[line]
        else:
            rows[line] = row[: len(names)]
    return pd.DataFrame([*rows.values()], index=[*rows], columns=names, dtype="str")


def _text(path: Path, problems: Problems) -> str | None:
    """The file's text in composed form, without a byte order mark; None where it has no text."""
    try:
        content = path.read_bytes()
    except OSError as error:
        problems.add(1, f"cannot be read: {error.strerror}", "a CSV file")
        return None
    found = next((name for start, name in FORMATS.items() if content.startswith(start)), "")
    if not found and b"\0" in content[:200]:
        found = "UTF-16 or no text"
    if found:
        problems.add(1, f"the file is {found}", UTF_8)
        return None
    try:
        return composed(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        problems.add(line, f"byte 0x{content[error.start]:02x} is not UTF-8", UTF_8)
        return None


def _rows(text: str, problems: Problems, separator: str) -> dict[int, list[str]] | None:
    """Rows by line, without blank ones; None where the text is no CSV with this separator."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: dict[int, list[str]] = {}
    expected = f"cells separated by {SEPARATORS[separator]}"
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows[reader.line_num] = row
    except csv.Error as error:
        problems.add(reader.line_num, f"not CSV: {error}", expected)
        return None
    first = rows[min(rows)] if rows else []
    filled = [cell for cell in first if cell.strip()]
    if len(filled) == 1:
        for other, name in SEPARATORS.items():
            if other != separator and other in filled[0]:
                problems.add(min(rows), f"cells separated by {name}", expected)
                return None
    return rows


def parse(rows: pd.DataFrame, table: Table, problems: Problems) -> pd.DataFrame:
    """Check header and cells of a table, and convert the cells.

    Args:
        rows: cells as text (see `read_cells`).
        table: what they should be.
        problems: what is wrong is added here.

    Returns:
        The columns of `table` in types that hold missing values; a cell that is not acceptable is
        missing. Optional columns that the file does not have are left out, or filled where the
        table says so.
    """
    for column in rows.columns.difference(list(table.columns)):
        problems.add(1, f"unknown column {column!r}", f"columns among {','.join(table.columns)}")
    needed = required_columns(table)
    for column in [column for column in needed if column not in rows]:
        problems.add(1, f"no column {column!r}", f"the columns {','.join(needed)}")
    if table.required and rows.empty:
        problems.add(1, "no rows below the header", "at least one")
    parsed = pd.DataFrame(index=rows.index)
    for column, rule in table.columns.items():
        if column in rows:
            parsed[column], bad = _convert(rows[column], rule)
            problems.add_rows(rows[bad], [column], rule.expected)
        elif rule.filled:
            parsed[column], _ = _convert(pd.Series("", rows.index, dtype="str"), rule)
        elif not rule.optional:
            parsed[column], _ = _convert(pd.Series(pd.NA, rows.index, dtype="str"), rule)
    _check_key(parsed, list(table.key), problems)
    return parsed


def required_columns(table: Table) -> list[str]:
    """Names of the columns that a file of this table must have."""
    return [column for column, rule in table.columns.items() if not rule.optional]


def typed(parsed: pd.DataFrame, table: Table) -> pd.DataFrame:
    """A parsed table without problems, in its final types and with a plain index."""
    dtypes = {column: table.columns[column].dtype for column in parsed}
    return parsed.astype(dtypes).reset_index(drop=True)


def _check_key(rows: pd.DataFrame, key: list[str], problems: Problems) -> None:
    rows = rows.dropna(subset=key)
    repeated = rows[rows.duplicated(key, keep=False)]
    for _, group in repeated.groupby(key):
        expected = f"{', '.join(key)} only once; first at line {group.index[0]}"
        problems.add_rows(group.iloc[1:], key, expected)


def _convert(cells: pd.Series, rule: Column) -> tuple[pd.Series, pd.Series]:
    """Values of a column (missing where not acceptable), and where they are not acceptable."""
    good = cells.str.fullmatch(f"(?:{rule.pattern})").fillna(False).astype(bool)
    if rule.dtype == "str":
        return cells.where(good), ~good
    if rule.dtype == "bool":
        return cells.where(good).isin(["true", "True", "1"]).astype("boolean").where(good), ~good
    values = pd.to_numeric(cells.where(good & (cells != "")))
    infinite = values.abs() == float("inf")  # 1e999 is written like a number
    outside = (values < rule.low) | (values > rule.high) | infinite
    bad = ~good | outside
    return values.where(~bad).astype("Int64" if rule.whole else "Float64"), bad
