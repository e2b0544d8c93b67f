"""notebooks/studies/<name>.yaml: read, and checked against what the notebooks declare.

papermill only warns of an unknown parameter and checks no type; a typing error would train for
hours with a default. So names and types are checked here, before anything starts.
"""

import math
import re
from typing import Any

import yaml

from clipassistnet.data.cross_validation import PAPER, Training
from clipassistnet.runs.folders import RunError, study_path, suggest

SECTIONS = ("description", "simulate", "threads", "parameters", "recipes")
# What every training of a study shares, or the folds would not be those that are judged.
SHARED = {"study", "folds_count", "inner_folds", "losses", "recipes", *Training._fields}

Place = tuple[str, ...]  # keys that lead to a value of the file
Problem = tuple[Place, str]


def read(name: str, declared: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The sections of a study's file.

    Args:
        declared: {notebook: its parameters and their defaults}.

    Raises:
        RunError: every unknown section and parameter and every wrong type, with its line.
    """
    path = study_path(name)
    text = path.read_text(encoding="utf-8")
    try:
        sections = yaml.safe_load(text) or {}
        lines = _lines(yaml.compose(text))
    except yaml.YAMLError as error:
        raise RunError(f"{path.name}: not readable as YAML: {error}") from error
    if problems := _problems(sections, declared):
        listed = [f"{path.name}:{lines.get(place, 1)}: {problem}" for place, problem in problems]
        raise RunError("\n".join(listed))
    return sections


def parameter_problem(where: str, defaults: dict[str, Any], name: str, value: Any) -> str | None:
    """What is wrong with a parameter's name or type; None where nothing is."""
    if name not in defaults:
        return f"{where} has no parameter {name!r}{suggest(name, defaults)}"
    default = defaults[name]
    if type(value) is type(default) or (type(default) is float and type(value) is int):
        return None
    expected = type(default).__name__
    if isinstance(default, float) and _is_number(value):
        expected += f" (YAML reads {value} as text: write {float(value)!r}, or 1.0e-4 for 1e-4)"
    return f"{where}: {name} = {value!r} is {type(value).__name__}, expected {expected}"


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, str) and math.isfinite(float(value))
    except ValueError:
        return False


def _problems(sections: Any, declared: dict[str, dict[str, Any]]) -> list[Problem]:
    if not isinstance(sections, dict):
        return [((), f"expected a mapping of {', '.join(SECTIONS)}")]
    problems: list[Problem] = [
        ((section,), f"unknown section {section!r}; expected one of {', '.join(SECTIONS)}")
        for section in sections
        if section not in SECTIONS
    ]
    problems += [
        ((section,), f"{section}: expected a mapping of names to values")
        for section in ("simulate", "parameters", "recipes")
        if not isinstance(sections.get(section) or {}, dict)
    ]
    threads = sections.get("threads", 1)
    if type(threads) is not int or threads < 1:
        problems.append((("threads",), f"threads {threads!r}: expected a number from 1"))
    everywhere = {name: value for own in declared.values() for name, value in own.items()}
    for name, value in mapping(sections, "parameters").items():
        if name == "recipes":
            problems.append((("parameters", name), "recipes is a section of its own"))
        elif problem := parameter_problem("any notebook", everywhere, name, value):
            problems.append((("parameters", name), problem))
    for recipe in mapping(sections, "recipes"):
        problems += _recipe_problems(recipe, mapping(sections["recipes"], recipe), everywhere)
    return problems


def mapping(sections: dict[str, Any], name: str) -> dict[str, Any]:
    """A section's names and values; none where it is missing, empty or something else."""
    section = sections.get(name)
    return section if isinstance(section, dict) else {}


def _recipe_problems(
    recipe: str, values: dict[str, Any], everywhere: dict[str, Any]
) -> list[Problem]:
    """A recipe's name names folders; its parameters are those that trainings may differ in."""
    problems: list[Problem] = []
    if not re.fullmatch("[a-z][a-z0-9_]*", str(recipe)):
        expected = "expected small letters, digits and '_'"
        problems.append((("recipes", recipe), f"recipe {recipe!r}: {expected}"))
    if recipe == PAPER and values:
        what = "recipe 'paper' has the study's own parameters: give them under parameters"
        problems.append((("recipes", recipe), what))
    for name, value in values.items():
        problem = parameter_problem(f"recipe {recipe}", everywhere, name, value)
        if name in SHARED:
            problem = f"recipe {recipe}: {name} is the same for all recipes of a study"
        if problem:
            problems.append((("recipes", recipe, name), problem))
    return problems


def _lines(node: yaml.Node | None, above: Place = ()) -> dict[Place, int]:
    """Line of every key of a YAML document, by its path of keys."""
    lines: dict[Place, int] = {}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            place = (*above, key.value)
            lines[place] = key.start_mark.line + 1
            lines |= _lines(value, place)
    return lines
