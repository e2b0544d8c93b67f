"""The published record of a study: executed notebooks, tables and figures, small and tracked."""

import base64
import copy
import csv
import io
import json
import secrets
import shutil
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from PIL import Image

from clipassistnet.publish.copying import Copier
from clipassistnet.publish.notebook_pictures import SHAREABLE, figures_of
from clipassistnet.runs.run import RunError, data_folder, is_simulated, root, runs_folder

NOTEBOOK_LIMIT = 200_000  # bytes
RECORD_LIMIT = 8_000_000
SCALES = (1.0, 0.8, 0.65, 0.5, 0.4, 0.3)  # of the pictures, until the notebook fits


def record(study: str) -> Path:
    """Copy a study's notebooks, run.json and tables to papermill_runs/record/<study>/, and its
    figures to figures/<study>/.

    Of a study on real videos only pictures of cells tagged `shareable` are kept, which show no
    frame. Pictures inside the notebooks are re-encoded to fit the limits; papermill's metadata,
    which holds paths of this machine, is left out.

    Raises:
        RunError: the videos are neither simulated nor published (a hospital's own videos have no
            place in a public record), the study is not complete, a file names a path of this
            machine, or the record is over its size.
    """
    simulated = is_simulated(study)
    if not (simulated or _is_published(study)):
        raise RunError(
            f"study {study!r} is neither simulated nor under a Creative Commons licence (column "
            "licence of videos.csv); copies that may leave are made by: "
            f"clipassistnet share papermill_runs/{study} <target>"
        )
    runs = sorted((runs_folder() / study).glob("0?_*/*/run.json"))
    if not runs:
        raise RunError(f"study {study!r} has no runs; make them with: make study STUDY={study}")
    target, figures = runs_folder() / "record" / study, root() / "figures" / study
    files = {}
    for run in (path.parent for path in runs):
        files |= _files_of(run, target / run.parent.name / run.name, figures, simulated)
    _require_publishable(files, data_folder(study))
    for folder in (target, figures):
        shutil.rmtree(folder, ignore_errors=True)
    for path, body in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    return target


def _files_of(run: Path, place: Path, figures: Path, simulated: bool) -> dict[Path, bytes]:
    """What is recorded of one run: {path in the record: bytes}."""
    notebook = nbformat.read(run / "notebook.ipynb", as_version=4)
    shown = Copier(secrets.token_bytes(), every_picture=simulated).copy(notebook)
    files = {place / "notebook.ipynb": _within_limit(shown, f"{place.parent.name}/{place.name}")}
    for path in [run / "run.json", *run.glob("*.csv")]:
        files[place / path.name] = path.read_bytes()
    suffix = "" if run.name == "once" else f"_{run.name}"
    for path in run.glob("figures/*.png"):
        if simulated or path.stem in _shareable_figures(notebook):
            files[figures / f"{run.parent.name[:2]}_{path.stem}{suffix}.png"] = path.read_bytes()
    return files


def _is_published(study: str) -> bool:
    with open(data_folder(study) / "videos.csv", newline="", encoding="utf-8-sig") as file:
        return all((row.get("licence") or "").startswith("CC") for row in csv.DictReader(file))


def _shareable_figures(notebook: NotebookNode) -> set[str]:
    tagged = [c for c in notebook.cells if SHAREABLE in c.metadata.get("tags", [])]
    return {name for cell in tagged for name in figures_of(cell.source)}


def _within_limit(notebook: NotebookNode, name: str) -> bytes:
    for scale in SCALES:
        smaller = copy.deepcopy(notebook)
        for cell in smaller.cells:
            for output in cell.get("outputs", []):
                if "image/png" in output.get("data", {}):
                    output.data["image/png"] = _smaller(output.data["image/png"], scale)
        body = nbformat.writes(smaller).encode()
        if len(body) <= NOTEBOOK_LIMIT:
            return body
    raise RunError(f"{name}: {len(body)} bytes, too large")


def _smaller(png: str, scale: float) -> str:
    image = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    size = (round(image.width * scale), round(image.height * scale))
    image = image.resize(size, Image.Resampling.LANCZOS).quantize(128)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def _require_publishable(files: dict[Path, bytes], data: Path) -> None:
    total = sum(len(body) for path, body in files.items() if path.suffix != ".png")
    if total > RECORD_LIMIT:
        raise RunError(f"the record would take {total} bytes, over {RECORD_LIMIT}")
    for path, body in files.items():
        for secret in {str(root()), str(Path.home()), str(data.resolve())} - {"/"}:
            # JSON escapes nothing in a POSIX path; dumps covers Windows' backslashes.
            if path.suffix != ".png" and json.dumps(secret)[1:-1].encode() in body:
                raise RunError(f"{path.parent.name}/{path.name} names a path of this machine")
