"""Parity before speed: a backend that does not give PyTorch's scores gets no timing."""

from __future__ import annotations

import math
import time
from typing import Mapping, Sequence

import numpy as np

from clipassistnet.deploy.predictor import Predictor, device_name

MINIMUM_FRAMES = 32

# Largest score difference from float32 PyTorch that counts as the same network: rounding alone, in
# mantissas of 24, 11 and 8 bits, carried through some fifty layers; int8 replaces every number by
# one of 256.
TOLERANCE = {"float32": 1e-3, "float16": 1e-2, "bfloat16": 5e-2, "int8": 0.2}

# Largest change of a metric, where labels are given: what a study would notice.
METRIC_TOLERANCE = {"auroc": 0.002, "specificity_at_95": 0.01}

_PROVEN = ("device", "backend", "precision", "frames", "max_difference", "flips")
_TIMES = ("p50_ms", "p95_ms", "p99_ms", "frames_per_second", "ratio")


def parity(
    reference: Predictor,
    other: Predictor,
    frames: np.ndarray,
    threshold: float,
    targets: np.ndarray | None = None,
) -> dict[str, object]:
    """How far another predictor's scores lie from those of float32 PyTorch on the same frames.

    frames: uint8 RGB (N, H, W, 3), at least MINIMUM_FRAMES, and real ones: noise tells little.
    threshold: the operating point; a flip is a frame whose label (invisible from a score of
    `threshold` on) differs. targets: 1 where the tip is invisible, else 0. Returns device,
    backend, precision, frames, reference_range (of PyTorch's scores: where it is near 0 they are
    all the same, and parity tells little), max_difference, flips, tolerance, passed, and with
    targets auroc, specificity_at_95 (at 95 % sensitivity) and their change. A score that is not a
    number fails. Raises ValueError for too few frames and for a reference which is not float32
    PyTorch.
    """
    return prove([reference, other], frames, threshold, targets)[0][1]


def prove(
    predictors: Sequence[Predictor],
    frames: np.ndarray,
    threshold: float,
    targets: np.ndarray | None = None,
) -> tuple[list[dict[str, object]], list[np.ndarray]]:
    """Every predictor against the first, float32 PyTorch: rows as of `parity`, and the scores."""
    scores = [predictor.predict(frames) for predictor in predictors]
    return compare(predictors, scores, threshold, targets), scores


def compare(
    predictors: Sequence[Predictor],
    scores: Sequence[np.ndarray],
    threshold: float | np.ndarray,
    targets: np.ndarray | None = None,
) -> list[dict[str, object]]:
    """As `prove`, of scores (N,) already there: one array a predictor.

    They may come from several ensembles, each of which judged its own frames on the same rungs;
    `threshold` may be one a frame (N,).
    """
    expected = _expected(predictors[0], scores[0])
    return [
        _compare(expected, own, predictor, threshold, targets)
        for own, predictor in zip(scores, predictors)
    ]


def judge(
    rungs: Mapping[str, Sequence[Predictor]], frames: np.ndarray, held_out: Sequence[str]
) -> list[np.ndarray]:
    """Scores (N,) of every rung of several ensembles, each of which judges its own frames alone.

    rungs: the same ladder for each held-out subset, else ValueError; held_out: the subset of each
    frame (N,).
    """
    subsets = np.asarray(held_out)
    parts = {}
    for subset in dict.fromkeys(subsets):
        own = subsets == subset
        parts[subset] = own, [rung.predict(frames[own]) for rung in rungs[subset]]
    names = {tuple(rung.name for rung in rungs[subset]) for subset in parts}
    if len(names) != 1:
        raise ValueError(f"ensembles on other rungs than each other: {sorted(names)}")
    scores = [np.empty(len(frames), np.float32) for _ in names.pop()]
    for own, found in parts.values():
        for row, score in zip(scores, found):
            row[own] = score
    return scores


def spread(table, cache, number: int, *, each: str | None = None) -> tuple:
    """At most `number` rows of a table of frames (video, frame), evenly spread, and their frames.

    `cache`: a frames.FrameCache; `each`: so many of each value of this column. Returns the
    rows, and uint8 RGB (N, H, W, 3).
    """
    groups = [np.arange(len(table))]
    if each is not None:
        groups = [groups[0][table[each] == value] for value in dict.fromkeys(table[each])]
    places = [own[np.linspace(0, len(own) - 1, number).astype(int)] for own in groups]
    rows = table.iloc[np.unique(np.concatenate(places))]
    return rows, np.stack([cache.get(v, int(f)) for v, f in zip(rows["video"], rows["frame"])])


def timing(
    predictors: Sequence[Predictor],
    rows: Sequence[dict[str, object]],
    frames: np.ndarray,
    *,
    repeats: int = 30,
    batch: int = 1,
) -> list[dict[str, object]]:
    """Latency of `batch` frames (resize, normalise, predict) on each predictor, side by side.

    `rows`: what `prove` found; who did not pass gets NaN, and so does who takes fewer frames at
    once. Calls are interleaved, one on each predictor in turn, so that a machine's slow spells
    fall on all of them. Returns one row a predictor: device, backend, precision, frames,
    max_difference and flips of its parity, batch, p50_ms, p95_ms, p99_ms (of a call),
    frames_per_second (at the median), ratio (to the first), memory_mb.
    """
    proven = [
        index
        for index, (predictor, row) in enumerate(zip(predictors, rows))
        if row["passed"] and predictor.batch >= batch
    ]
    seconds = interleaved(
        {index: predictors[index].predict for index in proven}, _batches(frames, batch), repeats
    )
    first = float(np.median(seconds[0])) if 0 in seconds else math.nan
    return [
        {
            **{name: row[name] for name in _PROVEN},
            "batch": batch,
            **_latency(seconds.get(index), first, batch),
            "memory_mb": predictors[index].memory / 1e6,
        }
        for index, row in enumerate(rows)
    ]


def interleaved(calls: dict, arguments: Sequence, repeats: int) -> dict:
    """Seconds of `repeats` calls of each function, in turn, after one that is not counted."""
    seconds = {name: [] for name in calls}
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


def _expected(reference: Predictor, scores: np.ndarray) -> np.ndarray:
    if reference.backend not in ("torch", "torch-cuda") or reference.precision != "float32":
        raise ValueError(f"the reference is {reference.name}, expected float32 PyTorch")
    if len(scores) < MINIMUM_FRAMES:
        raise ValueError(f"{len(scores)} frames, expected at least {MINIMUM_FRAMES}")
    if not np.isfinite(scores).all():
        raise ValueError("the reference's scores are not finite numbers")
    return scores


def _compare(
    expected: np.ndarray,
    scores: np.ndarray,
    other: Predictor,
    threshold: float | np.ndarray,
    targets: np.ndarray | None,
) -> dict[str, object]:
    difference = float(np.max(np.abs(scores - expected)))
    tolerance = TOLERANCE[other.precision]
    row = {
        "device": device_name(other.device),
        "backend": other.backend,
        "precision": other.precision,
        "frames": len(scores),
        "reference_range": float(np.ptp(expected)),
        "max_difference": difference,
        "flips": int(np.sum((scores >= threshold) != (expected >= threshold))),
        "tolerance": tolerance,
        "passed": difference <= tolerance,  # False for NaN
    }
    if targets is not None and row["passed"]:
        changes = _metrics(targets, scores, expected)
        row.update(changes)
        row["passed"] = all(
            abs(changes[name + "_change"]) <= limit for name, limit in METRIC_TOLERANCE.items()
        )
    return row


def _metrics(targets: np.ndarray, scores: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    from clipassistnet.evaluation.discrimination import (
        METRICS,  # of the study extra, which a Jetson has not
    )

    found = {}
    for name, metric in METRICS.items():
        found[name] = metric(targets, scores)
        found[name + "_change"] = found[name] - metric(targets, expected)
    return found


def _latency(seconds: list[float] | None, first: float, batch: int) -> dict[str, float]:
    if seconds is None:
        return dict.fromkeys(_TIMES, math.nan)
    p50, p95, p99 = (float(value) for value in np.percentile(seconds, [50, 95, 99]))
    return dict(zip(_TIMES, (1000 * p50, 1000 * p95, 1000 * p99, batch / p50, first / p50)))
