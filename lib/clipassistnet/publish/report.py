"""One page for a whole study: its tables and figures, and the model card."""

import secrets
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2

from clipassistnet.publish.chapters import Teller
from clipassistnet.publish.finished_runs import collect
from clipassistnet.publish.model_card import card
from clipassistnet.runs.run import RunError, data_folder, is_simulated, runs_folder


def write(study: str) -> Path:
    """Write papermill_runs/<study>/report.html, which needs nothing besides itself.

    Everything in it comes from the runs' own run.json, tables and executed notebooks. Of a study on
    real videos only pictures of cells tagged `shareable` are shown: such a page is passed on.

    Raises:
        RunError: the study has no runs yet.
    """
    made = collect(runs_folder() / study)
    if not made:
        raise RunError(f"study {study!r} has no runs; make them with: make study STUDY={study}")
    simulated = is_simulated(study)
    teller = Teller(secrets.token_bytes(), every_picture=simulated)
    page = _template().render(
        study=study,
        simulated=simulated,
        card=card(made, data_folder(study), simulated),
        chapters=[teller.chapter(name, runs) for name, runs in made.items()],
    )
    path = runs_folder() / study / "report.html"
    partial = path.with_name(".report.html.partial")
    partial.write_text(page, encoding="utf-8")
    partial.replace(path)
    return path


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["figure"] = _figure
    environment.tests["column_of_numbers"] = _is_column_of_numbers
    text = files(__package__).joinpath("report.html.j2").read_text(encoding="utf-8")
    return environment.from_string(text)


def _is_column_of_numbers(name: str, rows: list[dict[str, Any]]) -> bool:
    return all(row[name] in ("", "-") or _is_number(row[name]) for row in rows)


def _is_number(value: Any) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True


def _figure(value: Any) -> str:
    """A table's cell: numbers with four significant digits, as in the notebooks."""
    if not _is_number(value) or "." not in str(value):
        return str(value)
    return f"{float(str(value)):.4g}"
