"""The log: one JSON object a line, whole lines only, each written at once."""

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
    """Appends events to a file of JSON lines. A full disk is a `fault`, not an exception.

    Every line has "event", "time" (date and time of day, ISO 8601 with the offset from UTC) and
    "clock" (seconds, on the clock of all other times in the log).
    """

    def __init__(self, path: str) -> None:
        """OSError where the file cannot be opened."""
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115
        self.fault, self._lost = "", 0

    def write(self, event: str, clock: float, **fields: object) -> None:
        """Append one line. If that fails `fault` says why, and the next line counts those lost."""
        self.append(_line(event, clock, fields))

    def append(self, line: dict[str, object]) -> None:
        """Append one line that is complete already; as `write`."""
        if self._lost:
            line["lost_lines"] = self._lost + _lost_lines(line)
        text, end = json.dumps(line).encode() + b"\n", None
        try:
            end = self._file.seek(0, os.SEEK_END) if self._file.seekable() else None
            if self._file.write(text) != len(text):
                raise OSError("half a line")
        except OSError as error:
            self._lost = _lost_lines(line) + 1
            self.fault = f"log failed: {error.strerror or error}"
            if end is not None:
                with contextlib.suppress(OSError):  # the disk may be gone altogether
                    self._file.truncate(end)  # half a line would spoil the next one
            return
        self.fault, self._lost = "", 0


class JournalThread(threading.Thread):
    """Writes a journal in its own thread: a disk that hangs must not hold up the screen."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(name="journal", daemon=True)
        self._journal = journal
        self._lines: queue.Queue[dict[str, object] | None] = queue.Queue(_QUEUE)
        self._missed = 0
        self._writing_since: float | None = None
        self.start()

    @property
    def fault(self) -> str:
        """Why nothing is being written; "" while all is well."""
        since = self._writing_since
        if since is not None and time.monotonic() - since > _STALLED:
            return "log stalled: the disk is too slow"
        return self._journal.fault

    def write(self, event: str, clock: float, **fields: object) -> None:
        """As Journal.write, but never waits: a line that finds no room in the queue is lost."""
        line = _line(event, clock, fields)
        if self._missed:
            line["lost_lines"] = self._missed
        try:
            self._lines.put_nowait(line)
            self._missed = 0
        except queue.Full:
            self._missed += 1

    def run(self) -> None:
        """Write lines until `close` is called."""
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
    line: dict[str, object] = {"event": event, "time": now, "clock": round(clock, 4)}
    line.update({name: _plain(value) for name, value in fields.items()})
    return line


def _lost_lines(line: dict[str, object]) -> int:
    lost = line.get("lost_lines", 0)
    assert isinstance(lost, int)
    return lost


def _plain(value: object) -> object:
    """A value for JSON, which has no NaN, to six decimals."""
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value
