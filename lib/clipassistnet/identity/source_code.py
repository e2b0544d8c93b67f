"""What Python code does, as a digest: comments, docstrings and layout do not count.

A run of a notebook is up to date, and an interrupted training continues, only with the code that
made it: the code itself and all modules of this library that it imports, however indirectly.
"""

from __future__ import annotations

import ast
import hashlib
from functools import lru_cache
from pathlib import Path

LIBRARY = Path(__file__).resolve().parents[1]
PACKAGE = LIBRARY.name


def digest(source: str) -> str:
    """SHA-256 of the syntax tree without comments and docstrings.

    Raises:
        SyntaxError: the source is not Python.
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_docstring(body[0]):
            del body[0]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def of_imports(source: str) -> dict[str, str]:
    """{module: digest} of the library's modules that code imports, however indirectly, by name."""
    return _follow(_imports(ast.parse(source)))


def of_module(name: str) -> dict[str, str]:
    """{module: digest} of a module of the library, such as its `__name__`, and of its imports."""
    return _follow({name})


def _follow(names: set[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    waiting = set(names)
    while waiting:
        module = waiting.pop()
        path = _file(module)
        if path is None or module in found:
            continue
        found[module], imported = _read(path.read_text(encoding="utf-8"))
        waiting |= imported
    return dict(sorted(found.items()))


@lru_cache(maxsize=None)  # by content: most notebooks import the same modules
def _read(source: str) -> tuple[str, frozenset[str]]:
    return digest(source), frozenset(_imports(ast.parse(source)))


def _imports(tree: ast.AST) -> set[str]:
    """Names that code imports from this library, inside functions too; not all are modules.

    Relative imports are not followed: ruff's rule TID252 refuses them.
    """
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in names if name.split(".")[0] == PACKAGE}


def _file(module: str) -> Path | None:
    path = LIBRARY.joinpath(*module.split(".")[1:])
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _is_docstring(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
