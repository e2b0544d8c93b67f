"""Where the data, frames and runs of a study lie."""

import difflib
import json
import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from clipassistnet.data import csv_rows
from clipassistnet.errors import ExplainedError

ONCE = "once"  # folder of a run that has no key
STUDY_FILE = "study.json"  # remembers where the user's data lie


# A study's name is the name of a file and of a folder, and stands in Snakemake's patterns.
NAME = r"[^\W_][\w .-]*"
RESERVED = ("lab", "record")  # folders of papermill_runs/ that belong to no study
# Weights that are no file. Here once more: `model.weights` takes seconds to import.
NO_FILE = ("none", "imagenet", "pretrained")


class RunError(ExplainedError, RuntimeError):
    """An input of a run is missing, or inputs do not belong together."""


def root() -> Path:
    """Folder of the project: the nearest one above this process that holds notebooks/studies."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "notebooks" / "studies").is_dir():
            return folder
    raise RunError(f"{here}: neither this folder nor one above it holds notebooks/studies")


def study_path(study: str) -> Path:
    """The file of a study; RunError where there is none of that name."""
    if study in RESERVED or not re.fullmatch(NAME, study):
        expected = "letters, digits, spaces, '_', '-' and '.', a letter or digit first"
        expected += f"; not {' or '.join(RESERVED)}"
        raise RunError(f"study {study!r}: not a name for a study (expected {expected})")
    path = root() / "notebooks" / "studies" / f"{study}.yaml"
    if not path.exists():
        known = sorted(other.stem for other in path.parent.glob("*.yaml"))
        raise RunError(f"no study {study!r}{suggest(study, known)}; there are {', '.join(known)}")
    return path


def recipes(study: str) -> list[str]:
    """The recipes in a study's file, unchecked; RunError where there is no such study."""
    import yaml

    try:
        sections = yaml.safe_load(study_path(study).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise RunError(f"{study}.yaml: not readable as YAML: {error}") from error
    found = sections.get("recipes") if isinstance(sections, dict) else None
    return [str(name) for name in found] if isinstance(found, dict) else []


def suggest(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` where one of the known names is close, else nothing."""
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


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
        raise RunError(f"{study_command(study)}: the study has no data yet")
    return folder


def command() -> str:
    """The command line of this project, as a person types it in the project's folder."""
    own = Path(".venv") / "bin" / "clipassistnet"
    return str(own) if (root() / own).exists() else "clipassistnet"


def study_command(study: str) -> str:
    """What to do to run a study, as the beginning of a message; RunError where there is none."""
    simulates = re.search("^simulate:", study_path(study).read_text(encoding="utf-8"), re.MULTILINE)
    data = "" if simulates else " DATA=<dataset folder>"
    return f"run: make study STUDY={shlex.quote(study)}{data}"


def frames_folder(study: str, size: int) -> Path:
    """Folder of a study's frames, decoded at this size (an edge in pixels)."""
    return runs_folder() / study / "frames" / str(size)


def video_rows(study: str) -> list[dict[str, str]]:
    """The rows of a study's videos.csv, unchecked: `dataset.read` checks them."""
    return csv_rows.read(data_folder(study) / "videos.csv")


def is_simulated(study: str) -> bool:
    """Whether all videos of a study are simulated, by the column source of its videos.csv."""
    return {row.get("source") for row in video_rows(study)} == {"simulated"}
