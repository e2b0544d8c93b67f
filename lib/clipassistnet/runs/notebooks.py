"""The source notebooks: what they declare as parameters, and the code that they run."""

import ast
import json
import re
from pathlib import Path
from typing import Any

from clipassistnet.identity import source_code
from clipassistnet.runs.folders import RunError, root, suggest


def notebook_path(name: str) -> Path:
    """Source notebook by name, with or without folder and ending."""
    known = {path.stem: path for path in notebook_paths()}
    stem = Path(name).stem
    if stem not in known:
        raise RunError(f"no notebook {name!r}{suggest(name, known)}; there are {', '.join(known)}")
    return known[stem]


def notebook_paths() -> list[Path]:
    """The source notebooks of a study, by name.

    00 labels frames by hand, and no study runs it. Copies that Lab or a file manager makes
    (05_train_fold-Copy1.ipynb) have other characters in their names, and are left alone too.
    """
    found = (root() / "notebooks").glob("0[1-9]_*.ipynb")
    return sorted(path for path in found if re.fullmatch("[A-Za-z0-9_]+", path.stem))


def has_parameters(notebook: Path) -> bool:
    """Whether a notebook has a cell of parameters, as those have that a study runs."""
    try:
        return any("parameters" in tags for _, tags in sources(notebook))
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{notebook.name}: not readable as a notebook: {error}") from error


def sources(notebook: Path) -> list[tuple[str, list[str]]]:
    """(source, tags) of each code cell of a notebook."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [
        ("".join(cell["source"]), cell["metadata"].get("tags", []))
        for cell in cells
        if cell["cell_type"] == "code"
    ]


def declared(notebook: Path) -> dict[str, Any]:
    """Names and default values of a notebook's parameters cell, which holds literals only."""
    cells = [source for source, tags in sources(notebook) if "parameters" in tags]
    if len(cells) != 1:
        raise RunError(f"{notebook.name}: expected one cell tagged parameters, found {len(cells)}")
    defaults = {}
    for node in ast.parse(cells[0]).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if _is_literal(value):
                defaults[name] = ast.literal_eval(value)
            case _:
                text = f"parameters cell: {ast.unparse(node)!r}: expected name = literal"
                raise RunError(f"{notebook.name}: {text}")
    return defaults


def _is_literal(value: ast.expr) -> bool:
    try:
        ast.literal_eval(value)
    except ValueError:
        return False
    return True


def parse_given(pairs: list[str], notebook: Path) -> dict[str, Any]:
    """`["loss=bce", "fold=0"]` as typed values.

    What the notebook declares as text stays text (held_out=0). Another value is read as JSON, or
    is text where it is none.
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


def code(notebook: Path) -> dict[str, str]:
    """{"notebook": digest, <library module>: digest}: the code that a notebook runs.

    The parameters cell counts too: its defaults are code, though a run's parameters replace them.
    """
    source = "\n".join(text for text, _ in sources(notebook))
    return {"notebook": source_code.digest(source), **source_code.of_imports(source)}
