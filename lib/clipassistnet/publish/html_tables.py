"""The tables of a notebook, for a page that is read on a phone too.

An estimate and its interval share one cell, the row numbers of pandas are left out, and a missing
value is a dash.
"""

import re

from bs4 import BeautifulSoup, Tag

NUMBER = re.compile(r"[-+]?[\d,]*\.?\d+(e[-+]?\d+)?|-", re.IGNORECASE)
MISSING = {"", "nan", "none", "nat", "<na>"}
INTERVAL = ("low", "high")


def tidy(html: str) -> str:
    """A notebook's table with merged intervals, one header row, and a class for numbers."""
    soup = BeautifulSoup(html, "html.parser")
    for table in soup.find_all("table"):
        for head in table.find_all("thead"):
            _merge_index_names(head.find_all("tr"))
        _mark_missing(table)
        if _is_plain(table):
            _drop_row_numbers(table)
            _merge_intervals(table)
    for cell in soup.find_all("td"):
        if NUMBER.fullmatch(cell.get_text().strip()):
            cell["class"] = "n"
    return str(soup)


def _merge_index_names(rows: list[Tag]) -> None:
    """pandas gives index names their own header row; they fit into the gaps of the row above."""
    if len(rows) != 2:
        return
    above, below = (row.find_all("th") for row in rows)
    names = [(a, b) for a, b in zip(above, below, strict=False) if b.get_text(strip=True)]
    if len(above) == len(below) and not any(a.get_text(strip=True) for a, _ in names):
        for gap, name in names:
            gap.string = name.get_text(strip=True)
        rows[1].extract()


def _mark_missing(table: Tag) -> None:
    for cell in table.find_all("td"):
        if cell.get_text(strip=True).lower() in MISSING:
            cell.string = "-"


def _cells(row: Tag) -> list[Tag]:
    return row.find_all(["th", "td"], recursive=False)


def _is_plain(table: Tag) -> bool:
    """Whether each row has one cell for each column: no cell spans several."""
    lengths = {len(_cells(row)) for row in table.find_all("tr")}
    spans = table.find(lambda cell: cell.has_attr("colspan") or cell.has_attr("rowspan"))
    return len(lengths) == 1 and spans is None


def _drop_row_numbers(table: Tag) -> None:
    """Leave out the first column where it has no name and counts the rows from 0."""
    head, *body = table.find_all("tr")
    first = [_cells(row)[0].get_text(strip=True) for row in (head, *body)]
    if first == ["", *map(str, range(len(body)))]:
        for row in (head, *body):
            _cells(row)[0].extract()


def _merge_intervals(table: Tag) -> None:
    """`0.72`, `0.58`, `0.83` in the columns of a figure, low and high become one cell."""
    head, *body = table.find_all("tr")
    names = [cell.get_text(strip=True).lower() for cell in _cells(head)]
    if tuple(name for name in names if name in INTERVAL) != INTERVAL:
        return
    at = names.index("low")
    if at == 0 or not names[at - 1] or names[at + 1] != "high":
        return
    for row in body:
        value, low, high = _cells(row)[at - 1 : at + 2]
        ends = [end.get_text(strip=True) for end in (low, high)]
        if "-" not in ends:
            value.string = f"{value.get_text(strip=True)} ({ends[0]} to {ends[1]})"
            value["class"] = "n"
    _cells(head)[at - 1].string = f"{_cells(head)[at - 1].get_text(strip=True)} (95 % interval)"
    for row in (head, *body):
        for cell in _cells(row)[at : at + 2]:
            cell.extract()
