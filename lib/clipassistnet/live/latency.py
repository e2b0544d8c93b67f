"""How long things took: percentiles of the newest hour or so."""

from __future__ import annotations

from collections import deque

import numpy as np

_KEPT = 100_000  # an hour at 28 a second


class Latencies:
    """Durations by name, in seconds, in bounded memory."""

    def __init__(self, *names: str) -> None:
        self._seconds = {name: deque(maxlen=_KEPT) for name in names}

    def add(self, name: str, seconds: float) -> None:
        self._seconds[name].append(seconds)

    def summary(self) -> dict[str, dict[str, float]]:
        """By name: count, and p50_ms, p95_ms, p99_ms, max_ms where there were any."""
        result = {}
        for name, seconds in self._seconds.items():
            result[name] = {"count": len(seconds)}  # type: dict[str, float]
            if seconds:
                figures = 1000 * np.percentile(list(seconds), [50, 95, 99, 100])
                names = ("p50_ms", "p95_ms", "p99_ms", "max_ms")
                result[name].update(zip(names, figures.round(2).tolist()))
        return result

    def report(self) -> str:
        """The summary as lines of text."""
        lines = []
        for name, row in self.summary().items():
            figures = "  ".join(f"{key[:-3]} {row[key]:.1f} ms" for key in row if key != "count")
            lines.append(f"{name}: {row['count']} times  {figures}".rstrip())
        return "\n".join(lines)
