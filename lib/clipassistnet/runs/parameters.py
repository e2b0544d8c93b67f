"""Parameters of a run: a notebook's defaults, then the study's, then those given by hand.

papermill only warns of an unknown parameter and checks no type; a typo would train for hours
with a default. So names and types are checked here, before anything starts.
"""

import ast
import difflib
import json
import re
from pathlib import Path
from typing import Any

import yaml

from clipassistnet.data.cross_validation import PAPER, Training
from clipassistnet.runs.provenance import notebook_sources
from clipassistnet.runs.run import RunError, root

SECTIONS = {"description", "simulate", "threads", "parameters", "recipes", "notebooks"}
# What every training of a study shares, or the folds would not be those that are judged.
SHARED = {"study", "folds_count", "inner_folds", "losses", "recipes", *Training._fields}


def notebook_path(name: str) -> Path:
    """Source notebook by name, with or without folder and ending."""
    path = root() / "notebooks" / f"{Path(name).stem}.ipynb"
    if not path.exists():
        known = sorted(p.stem for p in path.parent.glob("*.ipynb"))
        raise RunError(f"no notebook {name!r}{_suggest(name, known)}; there are {', '.join(known)}")
    return path


def declared(notebook: Path) -> dict[str, Any]:
    """Names and default values of a notebook's parameters cell, which holds literals only."""
    cells = [source for source, tags in notebook_sources(notebook) if "parameters" in tags]
    if len(cells) != 1:
        raise RunError(f"{notebook.name}: expected one cell tagged parameters, found {len(cells)}")
    defaults = {}
    for node in ast.parse(cells[0]).body:
        try:
            [target] = node.targets  # type: ignore[attr-defined]
            defaults[target.id] = ast.literal_eval(node.value)  # type: ignore[attr-defined]
        except (AttributeError, ValueError) as error:
            text = ast.unparse(node)
            raise RunError(
                f"{notebook.name}: parameters cell: {text!r}: expected name = literal"
            ) from error
    return defaults


def read_study(name: str) -> dict[str, Any]:
    """Read and check notebooks/studies/<name>.yaml.

    Raises:
        RunError: every unknown section, notebook and parameter and every wrong type, with its line.
    """
    folder = root() / "notebooks" / "studies"
    path = folder / f"{name}.yaml"
    if not path.exists():
        known = sorted(p.stem for p in folder.glob("*.yaml"))
        raise RunError(f"no study {name!r}{_suggest(name, known)}; there are {', '.join(known)}")
    text = path.read_text(encoding="utf-8")
    try:
        study = yaml.safe_load(text) or {}
        lines = _key_lines(yaml.compose(text))
    except yaml.YAMLError as error:
        raise RunError(f"{path.name}: not readable as YAML: {error}") from error
    problems = _study_problems(study)
    if problems:
        told = [f"{path.name}:{lines.get(where, 1)}: {problem}" for where, problem in problems]
        raise RunError("\n".join(told))
    return study


def resolve(study: str, notebook: Path, given: dict[str, Any]) -> dict[str, Any]:
    """Every parameter of a run, in the notebook's order.

    From weak to strong: the notebook's defaults, the study's parameters, those of the run's recipe,
    the study's for this notebook, and those given. `recipes` is the list of the study's recipes.

    Raises:
        RunError: an unknown name or recipe, or a value of the wrong type, all of them at once.
    """
    settings = read_study(study)
    defaults, recipes = declared(notebook), recipes_of(settings)
    own = (settings.get("notebooks") or {}).get(notebook.stem) or {}
    given = {"study": study, **given}
    problems = [
        problem
        for name, value in given.items()
        if (problem := _parameter_problem(notebook.stem, defaults, name, value))
    ]
    study_wide = {**(settings.get("parameters") or {}), "recipes": list(recipes)}
    recipe = {**defaults, **study_wide, **own, **given}.get("recipe", PAPER)
    if recipe not in recipes:
        known = ", ".join(recipes)
        problems.append(f"recipe {recipe!r}{_suggest(recipe, recipes)}; study {study} has {known}")
    if problems:
        raise RunError("\n".join(problems))
    common = {k: v for k, v in {**study_wide, **recipes[recipe]}.items() if k in defaults}
    return {**defaults, **common, **own, **given}


def recipes_of(settings: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The recipes of a study that was read: {name: parameters that differ from the study's}."""
    return {PAPER: {}} | {k: v or {} for k, v in (settings.get("recipes") or {}).items()}


def parse_given(pairs: list[str], notebook: Path) -> dict[str, Any]:
    """`["loss=bce", "fold=0"]` as typed values.

    What the notebook declares as text stays text (held_out=0); else what is no literal is.
    """
    given, defaults = {}, declared(notebook)
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise RunError(f"-p {pair}: expected name=value")
        try:
            given[name] = text if isinstance(defaults.get(name), str) else json.loads(text)
        except ValueError:
            given[name] = text
    return given


def _study_problems(study: dict[str, Any]) -> list[tuple[tuple, str]]:
    if not isinstance(study, dict):
        return [((), "expected a mapping of " + ", ".join(sorted(SECTIONS)))]
    # 00 labels frames by hand: no study runs it.
    paths = sorted((root() / "notebooks").glob("0[1-9]_*.ipynb"))
    notebooks = {path.stem: declared(path) for path in paths}
    problems = [
        ((section,), f"unknown section {section!r}; expected one of {', '.join(sorted(SECTIONS))}")
        for section in study.keys() - SECTIONS
    ]
    everywhere: dict[str, Any] = {}
    for defaults in notebooks.values():
        everywhere.update(defaults)
    for name, value in (study.get("parameters") or {}).items():
        problem = _parameter_problem("any notebook", everywhere, name, value)
        problems += [(("parameters", name), problem)] if problem else []
    if "recipes" in (study.get("parameters") or {}):
        problems.append((("parameters", "recipes"), "recipes is a section of its own"))
    recipes = study.get("recipes") or {}
    if not isinstance(recipes, dict):
        return [*problems, (("recipes",), "recipes: expected a mapping of names to parameters")]
    for recipe, values in recipes.items():
        problems += _recipe_problems(recipe, values or {}, everywhere)
    for notebook, values in (study.get("notebooks") or {}).items():
        if notebook not in notebooks:
            hint = _suggest(notebook, notebooks)
            problems.append((("notebooks", notebook), f"unknown notebook {notebook!r}{hint}"))
            continue
        for name, value in (values or {}).items():
            problem = _parameter_problem(notebook, notebooks[notebook], name, value)
            problems += [(("notebooks", notebook, name), problem)] if problem else []
    return problems


def _recipe_problems(
    recipe: str, values: dict[str, Any], everywhere: dict[str, Any]
) -> list[tuple[tuple, str]]:
    """A recipe's name names folders; its parameters are those that trainings may differ in."""
    problems = []
    if not re.fullmatch("[a-z][a-z0-9_]*", str(recipe)):
        expected = "expected small letters, digits and '_'"
        problems.append((("recipes", recipe), f"recipe {recipe!r}: {expected}"))
    if recipe == PAPER and values:
        what = "recipe 'paper' has the study's own parameters: give them under parameters"
        problems.append((("recipes", recipe), what))
    for name, value in values.items():
        problem = _parameter_problem(f"recipe {recipe}", everywhere, name, value)
        if name in SHARED:
            problem = f"recipe {recipe}: {name} is the same for all recipes of a study"
        problems += [(("recipes", recipe, name), problem)] if problem else []
    return problems


def _parameter_problem(where: str, defaults: dict[str, Any], name: str, value: Any) -> str | None:
    if name not in defaults:
        return f"{where} has no parameter {name!r}{_suggest(name, defaults)}"
    default = defaults[name]
    fits = type(value) is type(default) or (type(default) is float and type(value) is int)
    if fits:
        return None
    expected = type(default).__name__
    return f"{where}: {name} = {value!r} is {type(value).__name__}, expected {expected}"


def _suggest(name: str, known: Any) -> str:
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _key_lines(node: yaml.Node | None, above: tuple = ()) -> dict[tuple, int]:
    """Line of every key of a YAML document, by its path of keys."""
    lines: dict[tuple, int] = {}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            path = (*above, key.value)
            lines[path] = key.start_mark.line + 1
            lines |= _key_lines(value, path)
    return lines
