"""One HTML page for a whole study: the result first, then its notebooks and the model card."""

import secrets
from pathlib import Path

from clipassistnet import files
from clipassistnet.publish.chapters import chapter
from clipassistnet.publish.copying import Copier
from clipassistnet.publish.finished_runs import collect
from clipassistnet.publish.key_figures import conclusion, key_figures, time_line
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
        figures=key_figures(runs),
        conclusion=conclusion(runs, simulated),
        time_line=time_line(runs, copier),
        card=card(runs, data_folder(study), simulated),
        chapters=[chapter(name, own, copier) for name, own in runs.items()],
    )
    path = runs_folder() / study / "report.html"
    files.write(path, page)
    return path
