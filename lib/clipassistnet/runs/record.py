"""The published record of a study: executed notebooks, tables and figures, small and tracked."""

import base64
import io
import json
import shutil
from pathlib import Path

import nbformat
from PIL import Image

from . import RunError, is_simulated, root, runs_folder

NOTEBOOK_LIMIT = 200_000  # bytes
RECORD_LIMIT = 8_000_000
SCALES = (1.0, 0.8, 0.65, 0.5, 0.4, 0.3)  # of the pictures, until the notebook fits


def record(study: str) -> Path:
    """Copy a simulated study's notebooks, run.json and tables to papermill_runs/record/<study>/,
    and its figures to figures/<study>/.

    Pictures inside the notebooks are re-encoded to fit the limits; papermill's metadata, which
    holds paths of this machine, is left out.

    Raises:
        RunError: the study is not simulated (its pictures may show patients), it is not complete,
            a file names a path of this machine, or the record is over its size.
    """
    if not is_simulated(study):
        raise RunError(f"study {study!r} is not simulated: its pictures may show patients")
    runs = sorted((runs_folder() / study).glob("0?_*/*/run.json"))
    if not runs:
        raise RunError(f"study {study!r} has no runs; make them with: make study STUDY={study}")
    target, figures = runs_folder() / "record" / study, root() / "figures" / study
    files = {}
    for run in (path.parent for path in runs):
        place = target / run.parent.name / run.name
        files[place / "notebook.ipynb"] = _small_notebook(run / "notebook.ipynb")
        for path in [run / "run.json", *run.glob("*.csv")]:
            files[place / path.name] = path.read_bytes()
        for path in run.glob("figures/*.png"):
            suffix = "" if run.name == "once" else f"_{run.name}"
            files[figures / f"{run.parent.name[:2]}_{path.stem}{suffix}.png"] = path.read_bytes()
    _require_publishable(files)
    for folder in (target, figures):
        shutil.rmtree(folder, ignore_errors=True)
    for path, body in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    return target


def _small_notebook(path: Path) -> bytes:
    for scale in SCALES:
        notebook = nbformat.read(path, as_version=4)
        notebook.metadata.pop("papermill", None)
        for cell in notebook.cells:
            cell.metadata = {k: v for k, v in cell.metadata.items() if k == "tags"}
            for output in cell.get("outputs", []):
                if "image/png" in output.get("data", {}):
                    output.data["image/png"] = _smaller(output.data["image/png"], scale)
        body = nbformat.writes(notebook).encode()
        if len(body) <= NOTEBOOK_LIMIT:
            return body
    raise RunError(f"{path.parent.parent.name}/{path.parent.name}: {len(body)} bytes, too large")


def _smaller(png: str, scale: float) -> str:
    image = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    size = (round(image.width * scale), round(image.height * scale))
    image = image.resize(size, Image.Resampling.LANCZOS).quantize(128)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def _require_publishable(files: dict[Path, bytes]) -> None:
    total = sum(len(body) for path, body in files.items() if path.suffix != ".png")
    if total > RECORD_LIMIT:
        raise RunError(f"the record would take {total} bytes, over {RECORD_LIMIT}")
    for path, body in files.items():
        for secret in {str(root()), str(Path.home())} - {"/"}:
            # JSON escapes nothing in a POSIX path; dumps covers Windows' backslashes.
            if path.suffix != ".png" and json.dumps(secret)[1:-1].encode() in body:
                raise RunError(f"{path.parent.name}/{path.name} names a path of this machine")
