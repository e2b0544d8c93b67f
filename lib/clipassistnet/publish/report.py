"""One HTML page for a whole study: its tables and figures, and the model card."""

import secrets
from pathlib import Path

from clipassistnet import files
from clipassistnet.publish.chapters import chapter
from clipassistnet.publish.copying import Copier
from clipassistnet.publish.finished_runs import collect
from clipassistnet.publish.model_card import card
from clipassistnet.publish.page_templates import render
from clipassistnet.runs.folders import (
    RunError,
    data_folder,
    is_simulated,
    runs_folder,
    study_command,
)


def write(study: str) -> Path:
    """Write papermill_runs/<study>/report.html, one file that loads no other.

    Its content comes from the runs' own run.json, tables and executed notebooks. Of a study on real
    videos it shows only the pictures of cells tagged `shareable`, because readers pass it on.

    Raises:
        RunError: the study has no runs yet.
        NotebookError: an executed notebook cannot be read.
    """
    runs = collect(runs_folder() / study)
    if not runs:
        raise RunError(f"{study_command(study)}: the study has no runs yet")
    simulated = is_simulated(study)
    copier = Copier(secrets.token_bytes(), every_picture=simulated)
    page = render(
        "report.html.j2",
        study=study,
        simulated=simulated,
        card=card(runs, data_folder(study), simulated),
        chapters=[chapter(name, own, copier) for name, own in runs.items()],
    )
    path = runs_folder() / study / "report.html"
    files.write(path, page)
    return path
