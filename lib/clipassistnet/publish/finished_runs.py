"""The finished runs of a study: their folders, records, tables and notebooks."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from clipassistnet.data import csv_rows
from clipassistnet.runs.folders import ONCE

Rows = list[dict[str, str]]


class NotebookError(ValueError):
    """A file that is no valid notebook."""


@dataclass
class FinishedRun:
    """One finished run: its folder and its run.json."""

    folder: Path
    record: dict[str, Any]

    @property
    def key(self) -> str:
        """Its parameters, e.g. `loss=bce, fold=0`; "" where the notebook has one run alone."""
        return "" if self.folder.name == ONCE else self.folder.name.replace(",", ", ")

    def table(self, name: str) -> Rows:
        """Rows of one of its tables; empty where the run did not write it."""
        path = self.folder / f"{name}.csv"
        return csv_rows.read(path) if path.exists() else []

    def notebook(self) -> NotebookNode:
        """Its executed notebook; raises NotebookError."""
        return read_notebook(self.folder / "notebook.ipynb")


def collect(study: Path) -> dict[str, list[FinishedRun]]:
    """{notebook: its finished runs} of a study's folder, in the notebooks' order."""
    runs: dict[str, list[FinishedRun]] = {}
    for path in sorted(study.glob("0?_*/*/run.json")):
        if not path.parent.name.startswith("."):
            record = json.loads(path.read_text(encoding="utf-8"))
            runs.setdefault(path.parent.parent.name, []).append(FinishedRun(path.parent, record))
    return runs


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook file (version 4, UTF-8 with or without a byte order mark) and validate it.

    Raises:
        NotebookError: it is not UTF-8, not JSON or no valid notebook; the message names the file.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        body = json.loads(text)
        if not isinstance(body, dict) or body.get("nbformat") != 4:
            raise NotebookError(f"{path}: expected a notebook of version 4 (nbformat)")
        if not isinstance(body.get("cells"), list):
            raise NotebookError(f"{path}: expected a list of cells")
        nbformat.validate(body)  # before it is read: reading expects a valid one
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise NotebookError(f"{path}:{line}: expected UTF-8 text") from error
    except json.JSONDecodeError as error:
        raise NotebookError(f"{path}:{error.lineno}: not JSON ({error.msg})") from error
    except nbformat.ValidationError as error:
        reason = str(error).splitlines()[0]
        raise NotebookError(f"{path}: no valid notebook: {reason}") from error
    return nbformat.reads(text, as_version=4)
