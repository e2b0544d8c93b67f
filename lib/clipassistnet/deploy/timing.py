"""Latency of predictors that passed parity, measured side by side."""

from __future__ import annotations

import math
import time
from typing import Any, Callable, Hashable, Mapping, Sequence

import numpy as np

from clipassistnet.deploy.predictor import Predictor

_PARITY = ("device", "backend", "precision", "frames", "max_difference", "flips")
_TIMES = ("p50_ms", "p95_ms", "p99_ms", "frames_per_second", "ratio")


def time_predictors(
    predictors: Sequence[Predictor],
    rows: Sequence[dict[str, Any]],
    frames: np.ndarray,
    *,
    repeats: int = 30,
    batch: int = 1,
) -> list[dict[str, Any]]:
    """Latency of `batch` frames (resize, normalise, predict) on each predictor.

    Args:
        predictors: to be timed; the first is the reference of the ratios.
        rows: their parity, as of `parity.compare_with_pytorch`. A predictor that did not pass gets
            NaN, and so does one that takes fewer frames in a batch.
        frames: uint8 RGB (N, H, W, 3), at least `batch`.
        repeats: timed calls of each predictor. Calls are interleaved: a slow moment of the machine
            affects all predictors.
        batch: frames in a call.

    Returns:
        One row a predictor: device, backend, precision, frames, max_difference and flips of its
        parity, batch, p50_ms, p95_ms, p99_ms (of a call), frames_per_second (at the median), ratio
        (to the first), memory_mb.

    Raises:
        ValueError: there are fewer frames than `batch`.
    """
    timed = [
        index
        for index, (predictor, row) in enumerate(zip(predictors, rows))
        if row["passed"] and predictor.batch >= batch
    ]
    seconds = time_interleaved(
        {index: predictors[index].predict for index in timed}, _batches(frames, batch), repeats
    )
    first = float(np.median(seconds[0])) if 0 in seconds else math.nan
    return [
        {
            **{name: row[name] for name in _PARITY},
            "batch": batch,
            **_latency(seconds.get(index), first, batch),
            "memory_mb": predictors[index].memory / 1e6,
        }
        for index, row in enumerate(rows)
    ]


def time_interleaved(
    calls: Mapping[Hashable, Callable], arguments: Sequence, repeats: int
) -> dict[Any, list[float]]:
    """Seconds of `repeats` calls of each function, in turn, after one call that does not count.

    The functions of one round take the same argument; rounds go through `arguments` in turn.
    """
    seconds: dict[Any, list[float]] = {name: [] for name in calls}
    for repeat in range(-1, repeats):
        argument = arguments[repeat % len(arguments)]
        for name, call in calls.items():
            start = time.perf_counter()
            call(argument)
            if repeat >= 0:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def _batches(frames: np.ndarray, batch: int) -> list[np.ndarray]:
    if len(frames) < batch:
        raise ValueError(f"{len(frames)} frames for a batch of {batch}")
    return [frames[start : start + batch] for start in range(0, len(frames) - batch + 1, batch)]


def _latency(seconds: list[float] | None, first: float, batch: int) -> dict[str, float]:
    if seconds is None:
        return dict.fromkeys(_TIMES, math.nan)
    p50, p95, p99 = (float(value) for value in np.percentile(seconds, [50, 95, 99]))
    return dict(zip(_TIMES, (1000 * p50, 1000 * p95, 1000 * p99, batch / p50, first / p50)))
