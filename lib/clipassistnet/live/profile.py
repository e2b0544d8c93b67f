"""How long things take: latencies of the live loop, and each stage of a picture's way."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from clipassistnet.alarm import Alarm, Assistant
from clipassistnet.live.session import Picture, Score, Session

if TYPE_CHECKING:
    from clipassistnet.deploy import Predictor

STAGES = ("decode", "resize and normalise", "predict", "decide", "draw")
_KEPT = 100_000  # an hour at 28 a second


class Latencies:
    """Durations by name, in seconds; the newest 100,000 of each."""

    def __init__(self, *names: str) -> None:
        self._seconds: dict[str, deque[float]] = {name: deque(maxlen=_KEPT) for name in names}

    def add(self, name: str, seconds: float) -> None:
        """Add one duration."""
        self._seconds[name].append(seconds)

    def summary(self) -> dict[str, dict[str, float]]:
        """By name: count; p50_ms, p95_ms, p99_ms and max_ms where there is any duration."""
        return {name: _percentiles(seconds) for name, seconds in self._seconds.items()}

    def report(self) -> str:
        """The summary as lines of text."""
        lines = []
        for name, row in self.summary().items():
            figures = "  ".join(f"{key[:-3]} {row[key]:.1f} ms" for key in row if key != "count")
            lines.append(f"{name}: {row['count']} times  {figures}".rstrip())
        return "\n".join(lines)


def stage_times(
    predictors: Sequence[Predictor], pictures: Iterable[np.ndarray], threshold: float
) -> list[dict[str, object]]:
    """Median milliseconds of each stage of a picture, for each predictor, and of all stages.

    Args:
        predictors: each gets every picture in turn, so that slow moments of the machine count for
            all of them.
        pictures: uint8 RGB (H, W, 3), decoded as they are read. The first is not counted.
        threshold: p(invisible) that alarms.

    Returns:
        A row a predictor: backend, precision, a column for each of STAGES, end_to_end_ms,
        end_to_end_p95_ms, frames_per_second (at the median).

    Raises:
        ValueError: fewer than two pictures.
    """
    runs = [_TimedSession(predictor, threshold) for predictor in predictors]
    start = time.perf_counter()
    for number, picture in enumerate(pictures):
        decoded = time.perf_counter() - start
        for run in runs:
            run.show(picture, number, decoded)
        start = time.perf_counter()
    return [run.row() for run in runs]


class _TimedSession:
    """The steps of the live loop with one predictor, without its threads."""

    def __init__(self, predictor: Predictor, threshold: float) -> None:
        self._predictor = predictor
        self._session = Session(Assistant(Alarm(threshold, 0.0, 0.0), armed=True))
        self._seconds: list[list[float]] = []

    def show(self, frame: np.ndarray, number: int, decoded: float) -> None:
        """Time the stages of one RGB frame; decoding it took `decoded` seconds."""
        now = number / 25
        picture = Picture(number, now, cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        stamps = [time.perf_counter()]
        images = self._predictor.prepare(frame[None])
        stamps.append(time.perf_counter())
        score = float(self._predictor.run(images)[0])
        stamps.append(time.perf_counter())
        self._session.take(now, picture, [Score(picture, score)])
        decision = self._session.decide(now)
        stamps.append(time.perf_counter())
        self._session.canvas(decision, now)
        stamps.append(time.perf_counter())
        self._seconds.append([decoded, *np.diff(stamps)])

    def row(self) -> dict[str, object]:
        """This predictor's row of `stage_times`."""
        if len(self._seconds) < 2:
            raise ValueError(f"{len(self._seconds)} pictures, expected at least 2")
        milliseconds = 1000 * np.array(self._seconds[1:])
        whole = milliseconds.sum(axis=1)
        return {
            "backend": self._predictor.backend,
            "precision": self._predictor.precision,
            **dict(zip(STAGES, np.median(milliseconds, axis=0).tolist())),
            "end_to_end_ms": float(np.median(whole)),
            "end_to_end_p95_ms": float(np.percentile(whole, 95)),
            "frames_per_second": 1000 / float(np.median(whole)),
        }


def _percentiles(seconds: Sequence[float]) -> dict[str, float]:
    if not seconds:
        return {"count": 0}
    figures = 1000 * np.percentile(list(seconds), [50, 95, 99, 100])
    names = ("p50_ms", "p95_ms", "p99_ms", "max_ms")
    return {"count": len(seconds), **dict(zip(names, figures.round(2).tolist()))}
