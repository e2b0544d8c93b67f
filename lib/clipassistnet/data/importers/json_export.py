"""JSON files of labelling tools, read with a check of every value that is used."""

import json
import zipfile
from pathlib import Path
from typing import Any

from clipassistnet.data.dataset import DatasetError

WORDS = {
    dict: "a mapping",
    list: "a list",
    str: "a text",
    int: "a whole number",
    bool: "true or false",
}


def read(path: Path, of: str) -> Any:
    """The content of a .json file, or of the only .json file in a .zip.

    Raises:
        DatasetError: where it cannot be read as JSON in UTF-8; `of` says what was expected.
    """
    try:
        if not zipfile.is_zipfile(path):
            return json.loads(path.read_text(encoding="utf-8-sig"))
        with zipfile.ZipFile(path) as archive:
            found = [name for name in archive.namelist() if name.endswith(".json")]
            if len(found) != 1:
                raise ValueError(f"{len(found)} .json files in it, expected one")
            return json.loads(archive.read(found[0]).decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError, zipfile.BadZipFile) as error:
        raise DatasetError([f"{path}: not an export of {of}: {error}"]) from error


def typed(value: Any, kind: type, where: str) -> Any:
    """`value`, if it is of this kind; ValueError otherwise, with its place."""
    if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    shown = json.dumps(value, ensure_ascii=False)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    raise ValueError(f"{where}: {shown} (expected {WORDS[kind]})")


def field(item: Any, name: str, kind: type, where: str) -> Any:
    """The value of this name in a mapping, of this kind; ValueError otherwise, with its place."""
    mapping = typed(item, dict, where)
    if name not in mapping:
        raise ValueError(f"{where}: no {name!r} (expected {WORDS[kind]})")
    return typed(mapping[name], kind, f"{where}: {name}")


def text(value: Any) -> str:
    """A label's value as text: 2 and "2" are the same, null is empty."""
    return "" if value is None else str(value).strip()
