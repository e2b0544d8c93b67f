"""The log: one JSON object a line, whole lines only, each on its way to the disk at once."""

from __future__ import annotations

import contextlib
import datetime
import json
import math
import os
import queue
import threading
import time

_QUEUE = 1000  # lines: half a minute
_STALLED = 2.0  # seconds in one write


class Journal:
    """Appends events to a file of JSON lines. A full disk is a `fault`, not the end.

    Every line has "event", "time" (of day, ISO 8601 with its offset) and "clock" (seconds, of the
    clock of all other figures).
    """

    def __init__(self, path: str) -> None:
        """OSError where the file cannot be opened."""
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115
        self.fault, self._lost = "", 0

    def write(self, event: str, clock: float, **fields: object) -> None:
        """Append one line; where that fails, `fault` says so and the next one counts the lost."""
        self.append(_line(event, clock, fields))

    def append(self, line: dict[str, object]) -> None:
        """As `write`, of a line that is made."""
        if self._lost:
            line["lost_lines"] = self._lost + line.get("lost_lines", 0)
        text, end = json.dumps(line).encode() + b"\n", None
        try:
            end = self._file.seek(0, os.SEEK_END) if self._file.seekable() else None
            if self._file.write(text) != len(text):
                raise OSError("half a line")
        except OSError as error:
            self._lost = line.get("lost_lines", 0) + 1
            self.fault = f"log failed: {error.strerror or error}"
            if end is not None:
                with contextlib.suppress(OSError):  # the disk may be gone altogether
                    self._file.truncate(end)  # half a line would spoil the next one
            return
        self.fault, self._lost = "", 0


class Clerk(threading.Thread):
    """Writes a journal in a thread of its own: a disk that hangs must not hold up the screen."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(name="clerk", daemon=True)
        self._journal, self._lines = journal, queue.Queue(_QUEUE)
        self._missed, self._writing_since = 0, None
        self.start()

    @property
    def fault(self) -> str:
        """Why nothing is being written; "" while all is well."""
        since = self._writing_since
        if since is not None and time.monotonic() - since > _STALLED:
            return "log stalled: the disk is too slow"
        return self._journal.fault

    def write(self, event: str, clock: float, **fields: object) -> None:
        """As Journal.write; never waits: what finds no room any more is counted as lost."""
        line = _line(event, clock, fields)
        if self._missed:
            line["lost_lines"] = self._missed
        try:
            self._lines.put_nowait(line)
            self._missed = 0
        except queue.Full:
            self._missed += 1

    def run(self) -> None:
        while True:
            line = self._lines.get()
            if line is None:
                return
            self._writing_since = time.monotonic()
            self._journal.append(line)
            self._writing_since = None

    def close(self) -> None:
        """Write what is left; waits some seconds at most."""
        with contextlib.suppress(queue.Full):  # stalled
            self._lines.put(None, timeout=2)
            self.join(timeout=2)


def _line(event: str, clock: float, fields: dict[str, object]) -> dict[str, object]:
    now = datetime.datetime.now().astimezone().isoformat(timespec="milliseconds")
    line = {"event": event, "time": now, "clock": round(clock, 4)}  # type: dict[str, object]
    line.update({name: _plain(value) for name, value in fields.items()})
    return line


def _plain(value: object) -> object:
    """JSON has no NaN, and six digits are plenty."""
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value
