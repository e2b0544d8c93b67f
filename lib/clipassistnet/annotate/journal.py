"""The journal of a pass: one JSON object a line, only ever appended to."""

import json
import os
from pathlib import Path
from typing import Any

from clipassistnet.annotate.errors import AnnotateError


class JournalError(AnnotateError):
    """A journal that cannot be read; names file and line."""


class Journal:
    """Appends events to a file. An event is on the disk when `append` returns.

    A line that a killed process left half written is removed when the file is opened: its event
    was never confirmed.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, or create it with its folder. `events` holds what it says so far.

        Raises:
            JournalError: a whole line is no JSON object.
            OSError: the file cannot be opened for writing.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        self.path = path
        self._file = open(path, "r+b" if not is_new else "x+b", buffering=0)  # noqa: SIM115
        try:
            self.events = self._read()
        except BaseException:
            self._file.close()
            raise
        if is_new:
            _sync_folder(path.parent)

    def append(self, event: dict[str, Any], *, sync: bool = True) -> None:
        """Write one event; `sync` waits until it is on the disk.

        Raises:
            OSError: the event was not written. The journal is as before.
        """
        line = json.dumps(event, ensure_ascii=False).encode() + b"\n"
        end = self._file.seek(0, os.SEEK_END)
        try:
            if self._file.write(line) != len(line):
                raise OSError(28, "the disk took a part of the line")
            if sync:
                os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(end)
            raise OSError(error.errno, error.strerror, str(self.path)) from error
        self.events.append(event)

    def close(self) -> None:
        self._file.close()

    def _read(self) -> list[dict[str, Any]]:
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            self._file.truncate(whole)
        return [
            _event(self.path, number, line)
            for number, line in enumerate(content[:whole].splitlines(), 1)
        ]


def read(path: Path) -> list[dict[str, Any]]:
    """The events of a journal that another process may be writing; a half line is left out.

    Raises:
        JournalError: a whole line is no JSON object.
    """
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    return [_event(path, number, line) for number, line in enumerate(whole.splitlines(), 1)]


def _event(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        event = json.loads(line)
        if not isinstance(event, dict) or "event" not in event:
            raise ValueError("no event")
    except ValueError as error:
        what = f"{line[:60]!r} (expected a JSON object with the key event): {error}"
        raise JournalError(f"{path}:{number}: {what}") from error
    return event


def _sync_folder(folder: Path) -> None:
    """A new file's name is on the disk only once its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
