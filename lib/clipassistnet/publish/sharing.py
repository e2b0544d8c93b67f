"""Shares a study: copies of its notebooks and an index, written whole or not at all."""

import base64
import json
import re
import secrets
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat

from clipassistnet.publish.copying import Copier
from clipassistnet.publish.finished_runs import read_notebook
from clipassistnet.publish.page_templates import render
from clipassistnet.publish.redaction import REMOVED, Redactor, Term, suspicious
from clipassistnet.runs.folders import ONCE

PNG_CHUNKS = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}


class ShareError(RuntimeError):
    """Nothing can be shared from this folder, or not to that one."""


class SurvivedError(RuntimeError):
    """Something that must not leave is still in the copies; nothing was written."""


@dataclass
class Entry:
    """One shared notebook, as the index lists it. `run` is its key, e.g. `loss=bce,fold=0`."""

    file: str
    notebook: str
    run: str
    heading: str
    kept: int  # pictures
    withheld: int


@dataclass
class Shared:
    """What was shared: the folder, its notebooks, and what was taken out {kind: how often}."""

    folder: Path
    notebooks: int
    counts: dict[str, int]


def share(
    study: Path,
    target: Path,
    terms: list[Term],
    simulated: bool = False,
    allowed: Collection[str] = (),
) -> Shared:
    """Write copies of a study's executed notebooks and index.html to a new folder.

    Args:
        study: a folder of papermill_runs; its runs are <notebook>/<key>/notebook.ipynb.
        terms: what must not leave, and its replacement.
        simulated: the index says so; nothing is kept that is otherwise removed.
        allowed: texts that may stay although they look like a path or a date.

    Raises:
        ShareError: the study has no notebooks, or the target exists.
        NotebookError: an executed notebook cannot be read.
        SurvivedError: a term, a path or a date can still be read in a copy.
    """
    if target.exists():
        raise ShareError(f"{target} exists; name a new folder, so that nothing is mixed")
    paths = sorted(p for p in study.glob("*/*/notebook.ipynb") if not p.parent.name.startswith("."))
    if not paths:
        raise ShareError(
            f"{study}: no executed notebooks (expected <notebook>/<run>/notebook.ipynb)"
        )
    redactor, key = Redactor(terms), secrets.token_bytes(32)
    copier = Copier(key, redactor.clean)
    contents, entries = {}, []
    for path in paths:
        entry, body = _copied(path, copier, redactor)
        while entry.file in contents:  # two names that differ only in what was removed
            entry.file = "another " + entry.file
        contents[entry.file] = body
        entries.append(entry)
    counts = {k: v for k, v in (copier.counts + redactor.counts).items() if v}
    index = render(
        "index.html.j2",
        study=redactor.clean(study.resolve().name),
        entries=entries,
        counts=sorted(counts.items()),
        mapped=any(term.instead != REMOVED for term in terms),
        simulated=simulated,
    )
    contents["index.html"] = index.encode()
    _require_nothing_survived(contents, redactor, allowed)
    _write(contents, target)
    return Shared(target, len(entries), counts)


def _copied(path: Path, copier: Copier, redactor: Redactor) -> tuple[Entry, bytes]:
    before = copier.counts.copy()
    notebook = copier.copy(read_notebook(path))
    kept, held = (
        copier.counts[kind] - before[kind] for kind in ("pictures kept", "pictures withheld")
    )
    headings = (re.search(r"^# (.+)", c.source, re.M) for c in notebook.cells)
    heading = next((found[1] for found in headings if found), path.parent.parent.name)
    name = redactor.clean(path.parent.parent.name)
    run = redactor.clean(path.parent.name)
    file = f"{name} {run}.ipynb" if run != ONCE else f"{name}.ipynb"
    return Entry(file, name, run, heading, kept, held), nbformat.writes(notebook).encode()


def _require_nothing_survived(
    contents: dict[str, bytes], redactor: Redactor, allowed: Collection[str]
) -> None:
    """Search all that would be written, as a reader who looks for the terms."""
    problems = []
    for name, body in contents.items():
        text = body.decode()
        if name.endswith(".ipynb"):
            notebook = json.loads(text)
            text, pictures = _apart(notebook)
            found = {each for string in _strings(notebook) for each in suspicious(string)}
            problems += [
                f"{name}: {each!r} looks like a path or a date (share with --allow TEXT to keep it)"
                for each in sorted(found.difference(allowed))
            ]
            problems += [f"{name}: a picture holds more than pixels" for p in pictures if _extra(p)]
        if re.search(r"data:[\w.+-]+/[\w.+-]+[;,]", text):
            problems.append(f"{name}: embedded data")
        problems += [f"{name}: {term!r}" for term in redactor.surviving(f"{name}\n{text}")]
    if problems:
        raise SurvivedError("\n".join(problems))


def _strings(node: object) -> Iterator[str]:
    """The strings of a notebook's JSON, the lines of a text joined."""
    if isinstance(node, dict):
        for value in node.values():
            yield from _strings(value)
    elif isinstance(node, list) and all(isinstance(part, str) for part in node):
        yield "".join(node)
    elif isinstance(node, list):
        for part in node:
            yield from _strings(part)
    elif isinstance(node, str):
        yield node


def _apart(notebook: dict) -> tuple[str, list[bytes]]:
    """A notebook's text without its pictures, and its pictures."""
    pictures = []
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            picture = output.get("data", {}).pop("image/png", None)
            if picture is not None:
                pictures.append(base64.b64decode("".join(picture)))
    return json.dumps(notebook, ensure_ascii=False), pictures


def _extra(png: bytes) -> bool:
    """Whether a PNG has chunks besides its pixels: texts, profiles, dates."""
    at = 8
    while at + 8 <= len(png):
        if png[at + 4 : at + 8] not in PNG_CHUNKS:
            return True
        at += 12 + int.from_bytes(png[at : at + 4], "big")
    return at != len(png)


def _write(contents: dict[str, bytes], target: Path) -> None:
    """Into a hidden folder beside the target, renamed to the target once it is complete."""
    new = target.with_name(f".{target.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        for name, body in contents.items():
            (new / name).write_bytes(body)
        new.rename(target)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
