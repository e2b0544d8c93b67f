"""Names of files: the two ways of writing an accented letter, and names that are not UTF-8."""

import os
import unicodedata
from functools import lru_cache
from pathlib import Path


def existing(path: Path) -> Path:
    """The path of a file or folder whose name may be written with other Unicode characters.

    "ü" is one character (composed) or "u" and a diaeresis (decomposed, as macOS writes it). The
    two look alike, but on most file systems they are two names. Where the path does not exist and
    one file exists whose name differs in this only, that file is meant.

    Args:
        path: a path; its last parts may be a pattern such as `{frame:06d}.jpg`.

    Returns:
        The path of the existing file; `path` itself where there is none, or more than one.
    """
    if os.path.lexists(path) or path == path.parent:
        return path
    parent = existing(path.parent)
    if not parent.is_dir():
        return path
    same = _names(str(parent), parent.stat().st_mtime_ns).get(composed(path.name), [])
    return parent / (same[0] if len(same) == 1 else path.name)


def composed(name: str) -> str:
    """A name with composed letters (Unicode's NFC), as all text of tables has them."""
    return unicodedata.normalize("NFC", name)


def is_utf8(path: Path) -> bool:
    """Whether a path is valid UTF-8, as a CSV file or JSON file needs it."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


@lru_cache(maxsize=64)
def _names(folder: str, _modified: int) -> dict[str, list[str]]:
    """Names of a folder's entries by their composed form."""
    found: dict[str, list[str]] = {}
    for name in os.listdir(folder):
        found.setdefault(composed(name), []).append(name)
    return found
