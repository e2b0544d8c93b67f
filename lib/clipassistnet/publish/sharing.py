"""Shares a study: copies of its notebooks and an index, written whole or not at all."""

import base64
import json
import os
import re
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import nbformat

from clipassistnet.publish.copying import Copier
from clipassistnet.publish.index import Entry, index
from clipassistnet.publish.redaction import REMOVED, Redactor, Term

PNG_CHUNKS = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}


class ShareError(RuntimeError):
    """Nothing can be shared from here, or not to there."""


class SurvivedError(RuntimeError):
    """Something that must not leave is still in what would be written; nothing was written."""


@dataclass
class Shared:
    """What was shared: the folder, its notebooks, and what was taken out (kind -> how often)."""

    folder: Path
    notebooks: int
    counts: dict[str, int]


def share(study: Path, target: Path, terms: list[Term], simulated: bool = False) -> Shared:
    """Write copies of a study's executed notebooks and index.html to a new folder.

    Args:
        study: a folder of papermill_runs; its runs are <notebook>/<key>/notebook.ipynb.
        terms: what must not leave, and what stands in its place.
        simulated: the index says so; it does not loosen anything.

    Raises:
        ShareError: the study has no notebooks, or the target exists.
        SurvivedError: a term can still be read out of what would be written.
    """
    if target.exists():
        raise ShareError(f"{target} exists; name a folder that does not, so that nothing is mixed")
    paths = sorted(p for p in study.glob("*/*/notebook.ipynb") if not p.parent.name.startswith("."))
    if not paths:
        raise ShareError(
            f"{study}: no executed notebooks (expected <notebook>/<run>/notebook.ipynb)"
        )
    redactor, key = Redactor(terms), secrets.token_bytes(32)
    copier = Copier(key, redactor.clean)
    files, entries = {}, []
    for path in paths:
        entry, body = _copied(path, copier, redactor)
        while entry.file in files:  # two names that differ in what was removed
            entry.file = "another " + entry.file
        files[entry.file] = body
        entries.append(entry)
    counts = {k: v for k, v in (copier.counts + redactor.counts).items() if v}
    name = redactor.clean(study.resolve().name)
    mapped = any(term.instead != REMOVED for term in terms)
    files["index.html"] = index(name, entries, counts, mapped, simulated).encode()
    _require_nothing_survived(files, redactor)
    _write(files, target)
    return Shared(target, len(entries), counts)


def _copied(path: Path, copier: Copier, redactor: Redactor) -> tuple[Entry, bytes]:
    before = copier.counts.copy()
    notebook = copier.copy(nbformat.read(path, as_version=4))
    kept, held = (
        copier.counts[kind] - before[kind] for kind in ("pictures kept", "pictures withheld")
    )
    headings = (re.search(r"^# (.+)", c.source, re.M) for c in notebook.cells)
    heading = next((found[1] for found in headings if found), path.parent.parent.name)
    name = redactor.clean(path.parent.parent.name)
    run = redactor.clean(path.parent.name)
    file = f"{name} {run}.ipynb" if run != "once" else f"{name}.ipynb"
    return Entry(file, name, run, heading, kept, held), nbformat.writes(notebook).encode()


def _require_nothing_survived(files: dict[str, bytes], redactor: Redactor) -> None:
    """Read everything that would be written once more, as someone would who looks for it."""
    problems = []
    for name, body in files.items():
        text = body.decode()
        if name.endswith(".ipynb"):
            text, pictures = _apart(json.loads(text))
            problems += [f"{name}: a picture holds more than pixels" for p in pictures if _extra(p)]
        if re.search(r"data:[\w.+-]+/[\w.+-]+[;,]", text):
            problems.append(f"{name}: embedded data")
        problems += [f"{name}: {term!r}" for term in redactor.surviving(f"{name}\n{text}")]
    if problems:
        raise SurvivedError("\n".join(problems))


def _apart(notebook: dict) -> tuple[str, list[bytes]]:
    """A notebook's text without its pictures, and these."""
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


def _write(files: dict[str, bytes], target: Path) -> None:
    """Into a hidden folder beside the target, which becomes it once it is complete."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".share-", dir=target.parent))
    try:
        for name, body in files.items():
            (partial / name).write_bytes(body)
        partial.chmod(0o777 & ~_umask())
        partial.rename(target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
