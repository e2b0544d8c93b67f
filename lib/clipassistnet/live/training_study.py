"""A network's frozen alarm, the level at which it arms, and what it was trained on.

All may stand in the network's own file (see stored_facts). Otherwise the study says so: networks
and engines lie in papermill_runs/<study>/<notebook>/<run>/ beside notebook 08's files. Where
they are not known, live has the defaults, and the overlay says so.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import NamedTuple

from clipassistnet.alarm import Alarm
from clipassistnet.live import stored_facts
from clipassistnet.live.stored_facts import (
    ALARM,
    ALARM_FROM,
    ARMING_LEVEL,
    SETTINGS,
    TRAINING_DATA,
)

GIVEN = "given to deploy convert"  # not known to be frozen
_NETWORKS, _ENGINES, _TEST = "05_train_fold", "09_jetson_deploy", "08_ensemble_test"
_ARMING = "presence"  # the loss of a network for arming, as in data.cross_validation


class FrozenAlarm(NamedTuple):
    """Numbers of SETTINGS, where they come from, and the file that holds them."""

    settings: dict[str, float]
    origin: str
    path: str


def frozen_alarm(paths: list[str]) -> FrozenAlarm | None:
    """The alarm that was chosen for these networks; None where none is known.

    It is the one that their files hold. Otherwise it is that of the study that trained them:
    notebook 08's alarm.json, or the threshold of its frozen_thresholds.csv, of the same recipe and
    held-out subset.

    Args:
        paths: of checkpoints, or of a saved engine's sidecar.

    Raises:
        ValueError: the file is broken; the message names it.
    """
    stored = [stored_facts.read(path) for path in paths]
    if ALARM in stored[0] and all(facts.get(ALARM) == stored[0][ALARM] for facts in stored):
        return FrozenAlarm(stored[0][ALARM], stored[0].get(ALARM_FROM, "stored"), paths[0])
    found = {_run_of(path) for path in paths}
    runs = [run for run in found if run is not None]
    if len(runs) != len(found) or len({(run.study, run.recipe, run.held_out) for run in runs}) != 1:
        return None
    for folder in sorted((runs[0].study / _TEST).glob("*")):
        if _parameters(folder).get("recipe") == runs[0].recipe:
            return _alarm_of(folder, runs[0].held_out)
    return None


def arming_level(path: str) -> tuple[float, str] | None:
    """The level at which a network for arming, or a locator, arms, and where it comes from.

    It is the one that the file at `path` holds: a checkpoint (for a locator that of the classifier
    beside it) or a saved engine's sidecar. Otherwise it is that of notebook 08 of its study. None
    where none is known. ValueError for a broken file.
    """
    stored = stored_facts.read(path)
    if ARMING_LEVEL in stored:
        return stored[ARMING_LEVEL], f"stored in {path}"
    run = _run_of(path)
    if run is None:
        return None
    for folder in sorted((run.study / _TEST).glob("*")):
        given, table = _parameters(folder), folder / "arming_levels.csv"
        # Of a recipe on whole frames a network arms, else the locators of the judged recipe.
        same = run.loss == _ARMING if given.get("arming") else given.get("recipe") == run.recipe
        if same and table.is_file():
            return _level_of(table, run.held_out), f"frozen by study {run.study.name}"
    return None


def _level_of(path: Path, held_out: str | None) -> float:
    with open(path, newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if held_out in (None, row.get("held_out"))]
    if not rows:
        raise ValueError(f"{path}: no level of held_out={held_out}")
    return stored_facts.checked_level(rows[0].get("level"), str(path))


def training_data(paths: list[str]) -> str:
    """One line for the overlay: what these networks were trained on, as far as it is known."""
    return "; ".join(sorted({_training_data(path) for path in paths}))


def facts_to_store(paths: list[str], threshold: float) -> dict[str, object]:
    """The facts about these networks that an engine made of them keeps in its sidecar.

    `threshold` is the alarm's where none is known that was frozen. Raises as `frozen_alarm`.
    """
    settings, origin, _ = frozen_alarm(paths) or FrozenAlarm({"threshold": threshold}, GIVEN, "")
    return {TRAINING_DATA: training_data(paths), ALARM: settings, ALARM_FROM: origin}


def arming_facts_to_store(paths: list[str]) -> dict[str, object]:
    """The facts that an engine for arming keeps: its training data, and its level where known."""
    known = arming_level(paths[0])
    return {TRAINING_DATA: training_data(paths)} | ({ARMING_LEVEL: known[0]} if known else {})


def _training_data(path: str) -> str:
    stored = stored_facts.read(path).get(TRAINING_DATA)
    if stored:
        return str(stored)
    run = _run_of(path)
    return "Training data unknown" if run is None else _data(run.study)


class _Run(NamedTuple):
    study: Path
    recipe: str
    held_out: str | None
    loss: str


def _run_of(path: str) -> _Run | None:
    for folder in Path(path).resolve().parents:
        if folder.parent.name in (_NETWORKS, _ENGINES):
            given = _parameters(folder)
            recipe, held_out = given.get("recipe", ""), given.get("held_out")
            return _Run(folder.parent.parent, recipe, held_out, given.get("loss", ""))
    return None


def _parameters(folder: Path) -> dict[str, str]:
    try:
        record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record.get("parameters", {})


def _alarm_of(folder: Path, held_out: str | None) -> FrozenAlarm | None:
    """`held_out` None is the first subset, as notebook 09 saves an engine of it."""
    chosen, frozen = folder / "alarm.json", folder / "frozen_thresholds.csv"
    path = chosen if chosen.is_file() else frozen
    if not path.is_file():
        return None
    try:
        if path is chosen:
            settings = {name: float(read_alarm(path)[name]) for name in SETTINGS}
        else:
            with open(path, newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
            wanted = [row for row in rows if held_out in (None, row["held_out"])]
            settings = {"threshold": float(wanted[0]["threshold"])}
    except (KeyError, IndexError) as error:
        raise ValueError(f"{path}: no threshold of held_out={held_out} ({error!r})") from error
    origin = f"frozen by study {folder.parents[1].name}"
    if path is chosen and _parameters(folder).get("inner_folds"):
        # Nested: every patient was judged, so none was left to choose an alarm beforehand.
        origin = f"chosen by study {folder.parents[1].name} on the patients it judged"
    return FrozenAlarm(settings, origin, str(path))


def read_alarm(path: Path | str) -> dict[str, float]:
    """The numbers of SETTINGS in an alarm.json of notebook 08. ValueError for another file."""
    with open(path, encoding="utf-8") as file:
        try:
            content = json.load(file)
            settings = {name: content[name] for name in SETTINGS}
            Alarm(**settings)
        except (ValueError, KeyError, TypeError) as error:
            expected = f"expected the numbers {', '.join(SETTINGS)}"
            raise ValueError(f"{path}: {error}: {expected}") from error
    return settings


def _data(study: Path) -> str:
    sources = _sources(study)
    if not sources:
        return f"Trained in study {study.name}, on unknown videos"
    if sources == {"simulated"}:
        return f"Trained on SIMULATED videos (study {study.name})"
    names = ", ".join("SIMULATED" if s == "simulated" else s or "?" for s in sorted(sources))
    return f"Trained on {names} (study {study.name})"


def _sources(study: Path) -> set[str]:
    """The sources in the study's videos.csv; none where it cannot be read."""
    try:
        given = study / "study.json"
        data = json.loads(given.read_text(encoding="utf-8"))["data"] if given.is_file() else None
        videos = (Path(data) if data else study / "data") / "videos.csv"
        with open(videos, newline="", encoding="utf-8-sig") as file:
            return {row.get("source") or "" for row in csv.DictReader(file) if any(row.values())}
    except (OSError, ValueError, KeyError):
        return set()
