"""What must not leave: this machine's names, the study's ids, and the user's own terms."""

import getpass
import itertools
import os
import platform
import pwd
import random
import re
import secrets
import socket
from collections.abc import Iterable
from pathlib import Path

from clipassistnet.data import csv_rows
from clipassistnet.publish.redaction import REMOVED, SHORT, Term

# Names that identify no person and no place: they stay.
COMMON = frozenset(
    re.findall(
        r"\w+",
        """admin clipassistnet code data dataset datasets debian demo desktop documents downloads
        figures folder frames git home images jpegimages lab lib linux local localdomain localhost
        main media mnt notebooks opt papermill_runs paper private project projects record repos
        research root runs scratch share shared smoke src srv storage studies study test tmp train
        ubuntu user users usr vagrant var video videos volumes work workspace""",
    )
)


class TermError(ValueError):
    """A term or an id that cannot be removed safely."""


def users_terms(texts: Iterable[str]) -> list[Term]:
    """The user's own terms. Each is removed anywhere, those under four letters as whole words.

    Raises:
        TermError: a term without a letter or digit.
    """
    terms = []
    for text in filter(None, map(str.strip, texts)):
        if not re.search(r"[^\W_]", text):
            raise TermError(f"term {text!r}: expected letters or digits")
        terms.append(Term(text, whole=len(text) < SHORT and text.isascii()))
    return terms


def read_terms(path: Path) -> list[str]:
    """The lines of a file of terms, without empty lines and those that begin with #."""
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def machines_terms(folders: Iterable[Path], study: str = "") -> list[Term]:
    """User and host names of this machine, the paths of the folders, and the names in them.

    The study's name stays: it is a parameter of every notebook.
    """
    account = pwd.getpwuid(os.getuid())
    names = [getpass.getuser(), account.pw_name, *account.pw_gecos.split(",")]
    names += [socket.gethostname(), platform.node(), socket.getfqdn(), Path.home().name]
    names += platform.node().split(".")
    for folder in folders:
        names += [str(folder), *folder.resolve().parts]
    long = {name for name in names if re.search(r"[^\W_]{2}", name)}
    return [Term(n, whole=True) for n in sorted(long - {study}) if not _is_common(n)]


def studys_terms(videos: Path) -> list[Term]:
    """Pseudonyms for videos, patients and annotators of a dataset folder, and its files' names.

    The numbers are random: their order says nothing about the order of the ids.

    Args:
        videos: the videos.csv; an annotations.csv beside it names the annotators.

    Raises:
        TermError: an id is a bare number, which cannot be distinguished from a result.
    """
    rows = csv_rows.read(videos)
    if not rows or "video" not in rows[0]:
        raise TermError(f"{videos}: expected a table with the column video")
    annotations = videos.with_name("annotations.csv")
    annotators = csv_rows.read(annotations) if annotations.exists() else []
    columns = (("video", rows), ("patient", rows), ("annotator", annotators))
    ids: dict[str, dict[str, None]] = {}
    seen: set[str] = set()
    for kind, table in columns:
        names = dict.fromkeys(row.get(kind) or "" for row in table)
        ids[kind] = {name: None for name in names if len(name) > 1 and name not in seen}
        seen |= ids[kind].keys()
    numbers = [n for row in rows for n in (row["video"], row.get("patient") or "") if _is_number(n)]
    if numbers:
        raise TermError(
            f"{videos.name}: id {min(numbers)!r} is a bare number, which looks like a "
            "result; give such ids a letter (v7), or list what is to be removed in --terms and "
            "share with --no-ids"
        )
    terms = [term for kind, names in ids.items() for term in _pseudonyms(kind, list(names), seen)]
    by_video = {term.text: term.instead for term in terms}
    return [*terms, *_files(rows, by_video)]


def _is_number(name: str) -> bool:
    return name.isdigit() and len(name) < SHORT


def _is_common(name: str) -> bool:
    return set(re.findall(r"\w+", name.casefold())) <= COMMON


def _pseudonyms(kind: str, names: list[str], ids: set[str]) -> list[Term]:
    """A pseudonym for each name; none of them looks like an id of the study."""
    patterns = [Term(name, whole=True).pattern for name in ids]
    for prefix in itertools.chain([kind], (kind + letter for letter in "qxzqxz")):
        chosen = [f"{prefix}_{i:0{len(str(len(names)))}}" for i in range(1, len(names) + 1)]
        if not any(pattern.search(name) for pattern in patterns for name in chosen):
            random.Random(secrets.randbits(128)).shuffle(chosen)
            return [Term(n, c, whole=True) for n, c in zip(names, chosen, strict=True)]
    raise TermError(f"no pseudonym for {kind} ids that is not itself an id")


def _files(rows: list[dict[str, str]], by_video: dict[str, str]) -> list[Term]:
    """Names of files and folders of the column path; a video's own file has its pseudonym."""
    terms = {}
    for row in rows:
        *folders, file = re.split(r"[/\\]+", row.get("path") or "")
        stem = re.sub(r"[\W_]+$", "", re.sub(r"\{.*|\.\w+$", "", file))
        instead = by_video.get(row["video"], "video")
        found = {stem: instead, **dict.fromkeys(folders)}
        for name, given in found.items():
            known = _is_common(name) or name in by_video
            if not known and re.search(r"[^\W\d_]{2}|\w{4}", name):
                terms[name] = Term(name, given or REMOVED, whole=True)
    return list(terms.values())
