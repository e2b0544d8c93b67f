"""What a network's own file says about its training data and its alarm.

A saved engine has these keys in engine.json, a checkpoint has them in its metadata:

- training_data: a line for the overlay, such as "Trained on SIMULATED videos (study demo)",
- alarm: the numbers threshold, and perhaps hysteresis and minimum_duration,
- alarm_from: where these numbers come from, such as "frozen by study demo",
- arming_level: p(clip applier) above which it arms (of a locator or a network for arming).

All are optional: older files have none of them. Reading needs no torch, which takes seconds.
"""

from __future__ import annotations

import json
import os
from typing import Any

from clipassistnet import files
from clipassistnet.alarm import Alarm, arming_settings

TRAINING_DATA, ALARM, ALARM_FROM = "training_data", "alarm", "alarm_from"
ARMING_LEVEL = "arming_level"
SETTINGS = "threshold", "hysteresis", "minimum_duration"


def read(path: str) -> dict[str, Any]:
    """The facts that a checkpoint or a saved engine's sidecar holds; {} where it holds none.

    A file that cannot be read holds none either: loading it gives the better message.

    Raises:
        ValueError: its alarm or its level is none; the message names the file.
    """
    try:
        content = _engine(path) if _is_engine(path) else _checkpoint(path)
    except Exception:  # safetensors has errors of its own
        return {}
    known = TRAINING_DATA, ALARM, ALARM_FROM, ARMING_LEVEL
    facts = {name: content[name] for name in known if name in content}
    if ALARM in facts:
        facts[ALARM] = _alarm(facts[ALARM], path)
    if ARMING_LEVEL in facts:
        facts[ARMING_LEVEL] = checked_level(facts[ARMING_LEVEL], path)
    return facts


def _is_engine(path: str) -> bool:
    return os.path.basename(path) == files.ENGINE_SIDECAR


def _engine(path: str) -> dict[str, Any]:
    with open(path, encoding="utf-8") as file:
        return dict(json.load(file))


def _checkpoint(path: str) -> dict[str, Any]:
    from safetensors import safe_open

    with safe_open(path, "np") as file:
        return dict(json.loads((file.metadata() or {}).get("metadata", "{}")))


def checked_level(given: Any, path: str) -> float:
    """A level of p(clip applier), at least 0 and below 1. ValueError, naming the file, else."""
    try:
        level = float(given)
        Alarm(*arming_settings(level))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: level for arming {given!r}: expected 0 to below 1") from error
    return level


def _alarm(given: Any, path: str) -> dict[str, float]:
    try:
        settings = {name: float(given[name]) for name in SETTINGS if name in given}
        Alarm(**{"hysteresis": 0.0, "minimum_duration": 0.0, **settings})
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: alarm {given}: {error}") from error
    return settings
