"""How a table of a record is shown: its rows, its columns, its caption."""

from dataclasses import dataclass

from clipassistnet.publish import markdown
from clipassistnet.publish.finished_runs import Rows

WORDS = {
    "auroc": "AUROC",
    "specificity_at_95": "specificity at 95 % sensitivity",
    "bce": "BCE",
    "class_weighted": "class-weighted",
    "video_weighted": "video-weighted",
    "forward_corrected": "noise-corrected",
    "ppv": "positive predictive value",
    "npv": "negative predictive value",
}


@dataclass(frozen=True)
class Layout:
    """How a table of a notebook is shown.

    `keys` name a row, `across` names the column whose values become columns, and `values` are the
    names that an estimate may have: the first one that the table has is taken.
    """

    notebook: str
    table: str
    title: str
    keys: tuple[str, ...]
    across: str
    values: tuple[str, ...]
    note: str = ""
    signed: bool = False


def pivot(rows: Rows, layout: Layout) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a table: estimates with their intervals, one column for each of `across`.

    Rows and columns keep the order in which they come first.
    """
    value = next(name for name in layout.values if name in rows[0])
    columns = list(dict.fromkeys(row.get(layout.across, "") for row in rows))
    cells: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        key = tuple(word(row[name]) for name in layout.keys)
        shown = markdown.estimate(row[value], row.get("low"), row.get("high"), signed=layout.signed)
        cells.setdefault(key, {})[row.get(layout.across, "")] = shown
    lines = [
        [*key, *(found.get(name, markdown.ABSENT) for name in columns)]
        for key, found in cells.items()
    ]
    names = [word(name) or "estimate" for name in columns]
    return [*layout.keys, *(f"{name} (95 % interval)" for name in names)], lines


def word(name: str) -> str:
    """A name of a table's cell in the words of a page."""
    return WORDS.get(name, name)


def part(title: str, table: str, judged: str, source: str, note: str = "") -> str:
    """A table under its title, with n and origin below it."""
    caption = f"n: {judged}. From {source}."
    return f"### {title}\n\n{table}\n\n{caption}" + (f" {note}" if note else "")
