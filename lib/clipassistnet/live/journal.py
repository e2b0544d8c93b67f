"""The log: one JSON object a line, whole lines only, each on its way to the disk at once."""

from __future__ import annotations

import datetime
import json
import math
import os


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
        now = datetime.datetime.now().astimezone().isoformat(timespec="milliseconds")
        line = {"event": event, "time": now, "clock": round(clock, 4)}
        line.update({name: _plain(value) for name, value in fields.items()})
        if self._lost:
            line["lost_lines"] = self._lost
        text = json.dumps(line).encode() + b"\n"
        end = self._file.seek(0, os.SEEK_END) if self._file.seekable() else 0
        try:
            if self._file.write(text) != len(text):
                raise OSError("half a line")
        except OSError as error:
            self._lost += 1
            self.fault = f"log failed: {error.strerror or error}"
            if os.path.isfile(self._file.name):
                self._file.truncate(end)  # half a line would spoil the next one
            return
        self.fault, self._lost = "", 0


def _plain(value: object) -> object:
    """JSON has no NaN, and six digits are plenty."""
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value
