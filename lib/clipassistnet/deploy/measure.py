"""Parity before speed: a backend that does not give PyTorch's scores gets no timing."""

from __future__ import annotations

import math
import time

import numpy as np

from .predictor import Predictor, device_name

MINIMUM_FRAMES = 32

# Largest score difference from float32 PyTorch that counts as the same network: rounding alone, in
# mantissas of 24, 11 and 8 bits, carried through some fifty layers.
TOLERANCE = {"float32": 1e-3, "float16": 1e-2, "bfloat16": 5e-2}


def parity(
    reference: Predictor, other: Predictor, frames: np.ndarray, threshold: float
) -> dict[str, object]:
    """How far another predictor's scores lie from those of float32 PyTorch on the same frames.

    frames: uint8 RGB (N, H, W, 3), at least MINIMUM_FRAMES, and real ones: noise tells little.
    threshold: the operating point; a flip is a frame whose label (invisible from a score of
    `threshold` on) differs. Returns device, backend, precision, frames, max_difference, flips,
    tolerance, passed. A score that is not a number fails. Raises ValueError for too few frames and
    for a reference which is not float32 PyTorch.
    """
    return _compare(_expected(reference, frames), other, frames, threshold)


def timing(
    predictors: list[Predictor], frames: np.ndarray, *, threshold: float, repeats: int = 30
) -> list[dict[str, object]]:
    """Latency of one frame (resize, normalise, predict) on each predictor, medians side by side.

    The first predictor is float32 PyTorch: every other one is compared with it on `frames` (see
    `parity`) and timed only where it passes; else its times are NaN. Calls are interleaved, one
    frame on each predictor in turn, so that a machine's slow spells fall on all of them. Returns
    one row a predictor, what `parity` gives and p50_ms, p95_ms, p99_ms, frames_per_second (at the
    median) and ratio (to the first predictor's median).
    """
    expected = _expected(predictors[0], frames)
    rows = [_compare(expected, predictor, frames, threshold) for predictor in predictors]
    proven = [index for index, row in enumerate(rows) if row["passed"]]
    seconds: dict[int, list[float]] = {index: [] for index in proven}
    for repeat in range(repeats):
        position = repeat % len(frames)
        for index in proven:
            start = time.perf_counter()
            predictors[index].predict(frames[position : position + 1])
            seconds[index].append(time.perf_counter() - start)
    eager = float(np.median(seconds[0]))
    return [{**row, **_latency(seconds.get(index), eager)} for index, row in enumerate(rows)]


def _expected(reference: Predictor, frames: np.ndarray) -> np.ndarray:
    if reference.backend not in ("torch", "torch-cuda") or reference.precision != "float32":
        name = f"{reference.backend} {reference.precision}"
        raise ValueError(f"the reference is {name}, expected float32 PyTorch")
    if len(frames) < MINIMUM_FRAMES:
        raise ValueError(f"{len(frames)} frames, expected at least {MINIMUM_FRAMES}")
    scores = reference.predict(frames)
    if not np.isfinite(scores).all():
        raise ValueError("the reference's scores are not finite numbers")
    return scores


def _compare(
    expected: np.ndarray, other: Predictor, frames: np.ndarray, threshold: float
) -> dict[str, object]:
    scores = other.predict(frames)
    difference = float(np.max(np.abs(scores - expected)))
    tolerance = TOLERANCE[other.precision]
    return {
        "device": device_name(other.device),
        "backend": other.backend,
        "precision": other.precision,
        "frames": len(frames),
        "max_difference": difference,
        "flips": int(np.sum((scores >= threshold) != (expected >= threshold))),
        "tolerance": tolerance,
        "passed": difference <= tolerance,  # False for NaN
    }


def _latency(seconds: list[float] | None, eager: float) -> dict[str, float]:
    if seconds is None:
        names = ("p50_ms", "p95_ms", "p99_ms", "frames_per_second", "ratio")
        return dict.fromkeys(names, math.nan)
    p50, p95, p99 = np.percentile(seconds, [50, 95, 99])
    return {
        "p50_ms": 1000 * float(p50),
        "p95_ms": 1000 * float(p95),
        "p99_ms": 1000 * float(p99),
        "frames_per_second": 1 / float(p50),
        "ratio": eager / float(p50),
    }
