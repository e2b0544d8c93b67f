"""The runs of a study, as their folders tell of them."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipassistnet.runs.run import ONCE

Rows = list[dict[str, str]]


@dataclass
class Made:
    """One finished run: its folder and its run.json."""

    folder: Path
    record: dict[str, Any]

    @property
    def key(self) -> str:
        """What tells it from the notebook's other runs, e.g. `loss=bce, fold=0`, or ""."""
        return "" if self.folder.name == ONCE else self.folder.name.replace(",", ", ")

    def table(self, name: str) -> Rows:
        """Rows of one of its tables, none where it has no such table."""
        path = self.folder / f"{name}.csv"
        if not path.exists():
            return []
        with open(path, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))


def collect(study: Path) -> dict[str, list[Made]]:
    """{notebook: its finished runs} of a study's folder, in the notebooks' order."""
    made: dict[str, list[Made]] = {}
    for path in sorted(study.glob("0?_*/*/run.json")):
        if not path.parent.name.startswith("."):
            record = json.loads(path.read_text(encoding="utf-8"))
            made.setdefault(path.parent.parent.name, []).append(Made(path.parent, record))
    return made
