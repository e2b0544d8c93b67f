"""The chapters of the report: each notebook's first run in full, its other runs in short."""

import re
from dataclasses import dataclass, field
from typing import Any

from clipassistnet.publish.copying import Copier
from clipassistnet.publish.finished_runs import FinishedRun
from clipassistnet.publish.notebook_html import to_html


@dataclass
class Chapter:
    """One notebook. `run`, `results` and `others` are empty where it has one run alone."""

    number: str
    title: str
    body: str  # HTML of the first run
    run: str = ""  # key of the first run
    results: list[dict[str, Any]] = field(default_factory=list)  # metrics of each run
    others: list[tuple[str, str]] = field(default_factory=list)  # (key, tables and figures)


def chapter(name: str, runs: list[FinishedRun], copier: Copier) -> Chapter:
    """The chapter of one notebook from its runs; `copier` decides which pictures are shown."""
    first, *others = runs
    notebook = copier.copy(first.notebook())
    heading, _, notebook.cells[0].source = notebook.cells[0].source.partition("\n")
    title = re.sub(r"^# *(\d+ *· *)?", "", heading)
    made = Chapter(name[:2], title, to_html(notebook))
    if others:
        made.run, made.results = first.key, _results(runs)
        made.others = [(run.key, _without_prose(run, copier)) for run in others]
    return made


def _results(runs: list[FinishedRun]) -> list[dict[str, Any]]:
    rows = [{**run.record["metrics"], "wall_s": run.record["wall_s"]} for run in runs]
    names = dict.fromkeys(name for row in rows for name in row)
    return [
        {"run": run.key, **{name: row.get(name, "") for name in names}}
        for run, row in zip(runs, rows, strict=True)
    ]


def _without_prose(run: FinishedRun, copier: Copier) -> str:
    notebook = copier.copy(run.notebook())
    notebook.cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return to_html(notebook)
