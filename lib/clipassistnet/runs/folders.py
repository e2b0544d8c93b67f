"""Where the data, frames and runs of a study lie."""

import json
from pathlib import Path
from typing import Any

from clipassistnet.data import csv_rows

ONCE = "once"  # folder of a run that has no key
STUDY_FILE = "study.json"  # remembers where the user's data lie


class RunError(RuntimeError):
    """An input of a run is missing, or inputs do not belong together."""


def root() -> Path:
    """Folder of the project: the nearest one above this process that holds notebooks/studies."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "notebooks" / "studies").is_dir():
            return folder
    raise RunError(f"{here}: neither this folder nor one above it holds notebooks/studies")


def runs_folder() -> Path:
    """Folder of all runs of the project."""
    return root() / "papermill_runs"


def name_key(key: dict[str, Any]) -> str:
    """Folder name of a key: `loss=bce,fold=0`, or `once` for a run without one."""
    return ",".join(f"{name}={value}" for name, value in key.items()) or ONCE


def run_folder(study: str, notebook: str, key: dict[str, Any]) -> Path:
    """Folder of one run of a notebook."""
    return runs_folder() / study / notebook / name_key(key)


def given_folder(study: str) -> Path | None:
    """The dataset folder that the user gave for a study; None where none was given."""
    remembered = runs_folder() / study / STUDY_FILE
    if not remembered.exists():
        return None
    return Path(json.loads(remembered.read_text(encoding="utf-8"))["data"])


def data_folder(study: str) -> Path:
    """Dataset folder of a study: the user's, else the simulated one.

    Raises:
        RunError: the study has neither; the message names the command that makes it.
    """
    folder = given_folder(study) or runs_folder() / study / "data"
    if not (folder / "videos.csv").exists():
        raise RunError(f"study {study!r} has no data yet; make it with: make study STUDY={study}")
    return folder


def frames_folder(study: str, size: int) -> Path:
    """Folder of a study's frames, decoded at this size (an edge in pixels)."""
    return runs_folder() / study / "frames" / str(size)


def video_rows(study: str) -> list[dict[str, str]]:
    """The rows of a study's videos.csv, unchecked: `dataset.read` checks them."""
    return csv_rows.read(data_folder(study) / "videos.csv")


def is_simulated(study: str) -> bool:
    """Whether all videos of a study are simulated, by the column source of its videos.csv."""
    return {row.get("source") for row in video_rows(study)} == {"simulated"}
