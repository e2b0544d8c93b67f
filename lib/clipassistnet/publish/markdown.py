"""Tables and marked blocks of Markdown, and figures as text."""

import math
from collections.abc import Iterable, Sequence

ABSENT = "-"  # a cell without a figure


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a bar inside a cell is escaped."""
    lines = ["| " + " | ".join(map(_cell, line)) + " |" for line in (header, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(header), *lines[1:]])


def _cell(text: str) -> str:
    return str(text).replace("|", "\\|")


def number(text: str | None, digits: int = 2, signed: bool = False) -> str:
    """A figure with its digits; words stay as they are, and a missing value is a dash."""
    try:
        value = float(text or "nan")
    except ValueError:
        return str(text)
    if math.isnan(value):
        return ABSENT
    value = round(value, digits) + 0.0  # no "-0.00"
    return f"{value:{'+' if signed and value else ''},.{digits}f}"


def estimate(
    value: str | None,
    low: str | None = None,
    high: str | None = None,
    digits: int = 2,
    signed: bool = False,
) -> str:
    """`0.72 (0.58 to 0.83)`; without an interval the figure alone."""
    ends = [number(end, digits) for end in (low, high)]
    shown = number(value, digits, signed)
    return shown if ABSENT in ends else f"{shown} ({ends[0]} to {ends[1]})"


def fill(text: str, name: str, body: str) -> str:
    """Put a body between the two marks of a block.

    Raises:
        ValueError: the text lacks one of the marks.
    """
    begin, end = f"<!-- {name}: written by make results -->", f"<!-- end of {name} -->"
    before, first, rest = text.partition(begin)
    _, second, after = rest.partition(end)
    if not (first and second):
        raise ValueError(f"expected the lines {begin} and {end}")
    return f"{before}{begin}\n{body}\n{end}{after}"
