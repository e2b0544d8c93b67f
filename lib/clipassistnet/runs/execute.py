"""Run one notebook of a study.

A run works in a hidden folder, which takes its final name when the run is complete. What lies in
papermill_runs/<study>/<notebook>/<key>/ is whole, even if the process was killed.
"""

import contextlib
import datetime
import errno
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clipassistnet import files
from clipassistnet.runs import notebooks
from clipassistnet.runs import study as studies
from clipassistnet.runs.folders import RunError, data_folder, root, run_folder, runs_folder
from clipassistnet.runs.kernel_environment import kernel_environment
from clipassistnet.runs.process import one_gpu, only_one
from clipassistnet.runs.provenance import environment, fingerprint


def execute(study: str, notebook: str, given: dict[str, Any], threads: int | None = None) -> Path:
    """Bring one run up to date and return its folder.

    A run is up to date, and left alone, when its parameters, its code and the content of every
    input that it read last time are the same. An interrupted run with the same parameters and code
    continues in its folder, where a training resumes from its last epoch.

    Args:
        given: parameters besides the study's; they name the folder of the run.
        threads: threads for numerical libraries, default all.

    Raises:
        RunError: unknown or mistyped parameters, a failed notebook, or the run is running already.
    """
    source = notebooks.notebook_path(notebook)
    parameters = studies.read(study).resolve(source.stem, given)
    used_code = notebooks.code(source)
    mark = fingerprint(parameters, used_code)
    folder = run_folder(study, source.stem, given)
    partial = folder.with_name(f".{folder.name}.partial")
    what = f"{source.stem} {folder.name} of study {study!r}"
    with only_one(folder.with_name(f".{folder.name}.lock"), what):
        if not is_current(partial, study, mark):  # it may have been killed just before its renaming
            if is_current(folder, study, mark):
                return folder
            _prepare(partial, mark)
            with _naming_where_it_stopped(source.stem, folder.name, partial):
                _execute(source, partial, parameters, threads, mark, used_code)
        files.replace_folder(folder, partial)
    return folder


def is_current(folder: Path, study: str, mark: str) -> bool:
    """Whether a folder holds a complete run with this fingerprint and with unchanged inputs."""
    try:
        record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if record["fingerprint"] != mark:
        return False
    inputs = record["inputs"].items()
    try:
        return all(files.digest(_input(study, name)) == digest for name, digest in inputs)
    except (OSError, RunError):
        return False


def _input(study: str, name: str) -> Path:
    """Path of an input by its name in run.json (see `Run`)."""
    place, _, inside = name.partition("/")
    if place == "data":
        return data_folder(study) / inside
    if place == "weights":
        return root() / inside
    return runs_folder() / study / name


def _prepare(partial: Path, mark: str) -> None:
    """Keep the folder of an interrupted run with this fingerprint, else begin with an empty one."""
    started = partial / "started"
    if not (started.exists() and started.read_text() == mark):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        started.write_text(mark)


def _execute(
    source: Path,
    partial: Path,
    parameters: dict[str, Any],
    threads: int | None,
    mark: str,
    used_code: dict[str, str],
) -> None:
    # Takes seconds to import: only where a notebook runs.
    from clipassistnet.runs.papermill_engine import execute_notebook

    began, clock = datetime.datetime.now(datetime.UTC), time.monotonic()
    with one_gpu() as gpu, kernel_environment(partial, threads, gpu):
        target = partial / "notebook.ipynb"
        execute_notebook(str(source), str(target), parameters, str(root()))
    try:
        result = json.loads((partial / "result.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise RunError("the notebook ended without run.finish()") from error
    record = {
        "notebook": source.stem,
        "parameters": parameters,
        "seed": parameters.get("seed"),
        **result,
        "fingerprint": mark,
        "code": used_code,
        **environment(),
        "started": began.isoformat(timespec="seconds"),
        "wall_s": round(time.monotonic() - clock, 1),
    }
    (partial / "result.json").unlink()
    (partial / "started").unlink()
    files.write(partial / "run.json", json.dumps(record, indent=1))


@contextlib.contextmanager
def _naming_where_it_stopped(notebook: str, key: str, partial: Path) -> Iterator[None]:
    """Turn what ended a run into a RunError with the reason and the notebook's place."""
    try:
        yield
    except Exception as error:
        raise RunError(
            f"{notebook} {key} failed: {_reason(error)}\n"
            f"What ran so far: {os.path.relpath(partial / 'notebook.ipynb')}"
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "the disk is full"
    in_notebook = getattr(error, "traceback", None)  # of papermill: what the notebook shows
    if in_notebook:
        return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(in_notebook)).strip()
    return f"{type(error).__name__}: {error}".strip()
