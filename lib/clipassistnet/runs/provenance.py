"""What a run's result depends on, and where it was made."""

import ast
import hashlib
import json
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from clipassistnet import hardware as machine

LIBRARY = Path(__file__).resolve().parents[1]
PACKAGE = LIBRARY.name
REPORTED = ("torch", "torchvision", "timm", "numpy", "pandas", "scikit-learn", "albumentations")
REPORTED += ("pytorch-lightning", "captum", "openvino", "av", "papermill", "snakemake")


def code_digest(source: str) -> str:
    """SHA-256 of what Python code does: its syntax tree without comments and docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_docstring(body[0]):
            node.body = body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def notebook_sources(notebook: Path) -> list[tuple[str, list[str]]]:
    """(source, tags) of each code cell of a notebook."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [
        ("".join(cell["source"]), cell["metadata"].get("tags", []))
        for cell in cells
        if cell["cell_type"] == "code"
    ]


def code(notebook: Path) -> dict[str, str]:
    """{"notebook": digest, <library module>: digest}: the code that a notebook runs.

    The library modules are those which the notebook imports, transitively. The parameters cell
    counts too: its defaults are code, though a run's resolved parameters override them.
    """
    source = "\n".join(text for text, _ in notebook_sources(notebook))
    found: dict[str, str] = {}
    waiting = _imports(ast.parse(source), PACKAGE)
    while waiting:
        module = waiting.pop()
        path = _module_file(module)
        if path is None or module in found:
            continue
        text = path.read_text(encoding="utf-8")
        found[module] = code_digest(text)
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        waiting |= _imports(ast.parse(text), package)
    return {"notebook": code_digest(source), **dict(sorted(found.items()))}


def fingerprint(parameters: dict[str, Any], code: dict[str, str]) -> str:
    """SHA-256 over parameters and code: with the inputs' hashes, all a result depends on."""
    body = json.dumps([parameters, code], sort_keys=True)
    return hashlib.sha256(body.encode()).hexdigest()


def environment() -> dict[str, Any]:
    """Versions, hardware and commit of this run. No user, host or path: runs are shared."""
    return {
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in REPORTED},
        "hardware": hardware(),
        "commit": commit(),
    }


def hardware() -> str:
    """Processor, its usable cores, and the GPUs, in words."""
    usable = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))
    return "; ".join([f"{machine.processor()}, {len(usable(0))} cores", *gpus()])


def gpus() -> list[str]:
    """Names of the NVIDIA GPUs, as the driver lists them."""
    lines = _output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
    return [line.strip() for line in lines.splitlines() if line.strip()]


def commit() -> str:
    """Commit of the project, marked where the working tree differs from it."""
    head = _output("git", "-C", str(LIBRARY), "rev-parse", "--short=12", "HEAD").strip()
    changed = _output("git", "-C", str(LIBRARY), "status", "--porcelain", "--untracked-files=no")
    return head + (" with local changes" if head and changed.strip() else "")


def _is_docstring(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _imports(tree: ast.AST, package: str) -> set[str]:
    """Names of this library's modules that code imports, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1]
            prefix = ".".join(base) if node.level else ""
            module = ".".join(part for part in (prefix, node.module or "") if part)
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] == PACKAGE}


def _module_file(module: str) -> Path | None:
    path = LIBRARY.joinpath(*module.split(".")[1:])
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
