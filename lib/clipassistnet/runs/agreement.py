"""Runs that are compared or averaged must have seen the same data, folds and parameters."""

import warnings
from collections.abc import Iterable
from typing import Any

from clipassistnet.runs.folders import RunError

Records = dict[str, dict[str, Any]]  # {run: its run.json}


def require_agreement(notebook: str, recipes: list[Records], axes: set[str]) -> None:
    """Refuse runs that differ in data, folds or parameters; a difference in code only warns.

    Within a recipe all parameters and inputs are the same. Between recipes parameters may differ,
    and a recipe may have inputs of its own; the inputs that recipes share are the same.

    Args:
        recipes: the runs of each recipe.
        axes: the parameters in which the runs are meant to differ, such as loss and fold.

    Raises:
        RunError: every difference, by run.
    """
    for records in recipes:
        _refuse(notebook, records, _of_one_recipe(records, axes))
    firsts = dict(next(iter(records.items())) for records in recipes)
    _refuse(notebook, firsts, _differences(firsts, axes, "inputs", shared_only=True))


def _of_one_recipe(records: Records, axes: set[str]) -> list[str]:
    return _differences(records, axes, "parameters") + _differences(records, axes, "inputs")


def _refuse(notebook: str, records: Records, problems: Iterable[str]) -> None:
    (first, reference), *others = records.items()
    for name, record in others:
        if record["code"] != reference["code"]:
            warnings.warn(f"{notebook}: {first} and {name} ran with different code", stacklevel=4)
    if problems:
        raise RunError(f"runs of {notebook} do not belong together:\n  " + "\n  ".join(problems))


def _differences(
    records: Records, axes: set[str], part: str, *, shared_only: bool = False
) -> list[str]:
    """How a part of run.json differs from the first run's."""
    (first, reference), *others = records.items()
    expected = _comparable(reference[part], axes)
    problems = []
    for name, record in others:
        found = _comparable(record[part], axes)
        names = expected.keys() & found.keys() if shared_only else expected.keys() | found.keys()
        problems += [
            f"{part[:-1]} {k}: {first} has {expected.get(k)!r}, {name} has {found.get(k)!r}"
            for k in sorted(names)
            if expected.get(k) != found.get(k)
        ]
    return problems


def _comparable(part: dict[str, Any], axes: set[str]) -> dict[str, Any]:
    """Without the axes, and the inputs that differ with them (the learning rate of a loss)."""
    differs = tuple(f"{axis}=" for axis in axes)
    return {
        k: v
        for k, v in part.items()
        if k not in axes and (k.startswith("weights/") or not any(d in k for d in differs))
    }
