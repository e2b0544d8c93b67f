"""The published record of a study: executed notebooks, tables and figures, small and tracked."""

import base64
import copy
import io
import json
import secrets
import shutil
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from PIL import Image

from clipassistnet import files
from clipassistnet.publish.copying import Copier
from clipassistnet.publish.finished_runs import FinishedRun, collect
from clipassistnet.publish.notebook_pictures import SHAREABLE, figures_of
from clipassistnet.runs.folders import (
    ONCE,
    RunError,
    data_folder,
    is_simulated,
    root,
    runs_folder,
    study_command,
    video_rows,
)

NOTEBOOK_LIMIT = 200_000  # bytes
RECORD_LIMIT = 8_000_000
SCALES = (1.0, 0.8, 0.65, 0.5, 0.4, 0.3)  # of the pictures, until the notebook fits


def record(study: str) -> Path:
    """Copy a study's notebooks, run.json and tables to papermill_runs/record/<study>/, and its
    figures to figures/<study>/.

    Of a study on real videos only pictures of cells tagged `shareable` are kept, which show no
    frame. Pictures inside the notebooks are re-encoded to fit the limits. papermill's metadata is
    left out because it holds paths of this machine.

    Raises:
        RunError: the videos are neither simulated nor published (a hospital's own videos must not
            be in a public record), the study is not complete, a file names a path of this machine,
            or the record is too large.
        NotebookError: an executed notebook cannot be read.
    """
    simulated = is_simulated(study)
    if not (simulated or _is_published(study)):
        raise RunError(
            f"study {study!r} is neither simulated nor under a Creative Commons licence (column "
            "licence of videos.csv); to make copies that may leave the hospital: "
            f"clipassistnet share papermill_runs/{study} <target>"
        )
    runs = [run for own in collect(runs_folder() / study).values() for run in own]
    if not runs:
        raise RunError(f"{study_command(study)}: the study has no runs yet")
    copies: dict[Path, bytes] = {}
    pictures: dict[Path, bytes] = {}
    for run in runs:
        copies |= _copies(run, simulated)
        pictures |= _figures(run, simulated)
    _require_publishable(copies, data_folder(study))
    _replace(root() / "figures" / study, pictures)
    target = runs_folder() / "record" / study
    _replace(target, copies)
    return target


def _replace(folder: Path, contents: dict[Path, bytes]) -> None:
    """Make a folder of these files, whole or not at all."""
    new = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    for path, body in contents.items():
        (new / path).parent.mkdir(parents=True, exist_ok=True)
        (new / path).write_bytes(body)
    files.replace_folder(folder, new)


def _copies(run: FinishedRun, simulated: bool) -> dict[Path, bytes]:
    """The notebook, run.json and tables of a run: {path in the record: bytes}."""
    place = Path(run.folder.parent.name, run.folder.name)
    copied = Copier(secrets.token_bytes(), every_picture=simulated).copy(run.notebook())
    contents = {place / "notebook.ipynb": _within_limit(copied, str(place))}
    for path in [run.folder / "run.json", *run.folder.glob("*.csv")]:
        contents[place / path.name] = path.read_bytes()
    return contents


def _figures(run: FinishedRun, simulated: bool) -> dict[Path, bytes]:
    """The figures of a run that may be shown: {name: bytes}."""
    shareable = _shareable_figures(run.notebook())
    suffix = "" if run.folder.name == ONCE else f"_{run.folder.name}"
    return {
        Path(f"{run.folder.parent.name[:2]}_{path.stem}{suffix}.png"): path.read_bytes()
        for path in run.folder.glob("figures/*.png")
        if simulated or path.stem in shareable
    }


def _is_published(study: str) -> bool:
    return all((row.get("licence") or "").startswith("CC") for row in video_rows(study))


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
    raise RunError(f"{name}: {len(body)} bytes (at most {NOTEBOOK_LIMIT})")


def _smaller(png: str, scale: float) -> str:
    image = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    size = (round(image.width * scale), round(image.height * scale))
    image = image.resize(size, Image.Resampling.LANCZOS).quantize(128)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def _require_publishable(copies: dict[Path, bytes], data: Path) -> None:
    total = sum(map(len, copies.values()))
    if total > RECORD_LIMIT:
        raise RunError(f"the record would take {total} bytes (at most {RECORD_LIMIT})")
    for path, body in copies.items():
        for folder in {str(root()), str(Path.home()), str(data.resolve())} - {"/"}:
            # JSON escapes nothing in a POSIX path; dumps escapes the backslashes of Windows.
            if json.dumps(folder)[1:-1].encode() in body:
                raise RunError(f"{path.parent.name}/{path.name} names a path of this machine")
