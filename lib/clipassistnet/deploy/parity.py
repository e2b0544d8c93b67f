"""Parity: whether a backend gives the scores of float32 PyTorch on the same frames.

It comes before speed: a predictor that fails parity is neither timed nor saved.
"""

from __future__ import annotations

from typing import Any, Mapping, Sequence

import numpy as np

from clipassistnet.deploy.device import device_name
from clipassistnet.deploy.predictor import Predictor

MINIMUM_FRAMES = 32

# Largest score difference from float32 PyTorch that rounding alone explains: in mantissas of 24, 11
# and 8 bits, through some fifty layers; int8 replaces every number by one of 256.
TOLERANCE = {"float32": 1e-3, "float16": 1e-2, "bfloat16": 5e-2, "int8": 0.2}

# Of an ensemble of crops. A closer look turns the last digits of a box into more of them, and a box
# that moves by 0.05 pixels changed a score by up to 0.02 on real frames. So the conversion of each
# part is proven on its own (engine_check.py), and here what its errors lead to.
CROPS_TOLERANCE = 2e-2

# Largest change of a metric, where labels are given: a larger one would change a study's result. On
# few frames one step of the metric may be larger (`_smallest_steps`), and that step is allowed.
METRIC_TOLERANCE = {"auroc": 0.002, "specificity_at_95": 0.01}


def check_parity(
    reference: Predictor,
    other: Predictor,
    frames: np.ndarray,
    threshold: float,
    targets: np.ndarray | None = None,
) -> dict[str, Any]:
    """Compare another predictor's scores with those of float32 PyTorch on the same frames.

    Args:
        reference: float32 PyTorch.
        other: the predictor to compare.
        frames: uint8 RGB (N, H, W, 3), at least MINIMUM_FRAMES, and real ones: scores of noise
            hardly differ.
        threshold: the operating point. A score of `threshold` or more says invisible; a flip is a
            frame on which the two predictors say different things.
        targets: (N,) 1 where the tip is invisible, else 0.

    Returns:
        device, backend, precision, frames, reference_range (of PyTorch's scores: near 0, parity
        says little), max_difference, flips, tolerance, passed, and with targets auroc,
        specificity_at_95 (at 95 % sensitivity) and their changes. A score that is not a finite
        number fails.

    Raises:
        ValueError: too few frames, or a reference that is not float32 PyTorch.
    """
    return compare_with_pytorch([reference, other], frames, threshold, targets)[0][1]


def compare_with_pytorch(
    predictors: Sequence[Predictor],
    frames: np.ndarray,
    threshold: float,
    targets: np.ndarray | None = None,
) -> tuple[list[dict[str, Any]], list[np.ndarray]]:
    """Every predictor against the first, float32 PyTorch: rows as of `check_parity`, and scores."""
    scores = [predictor.predict(frames) for predictor in predictors]
    return compare_scores(predictors, scores, threshold, targets), scores


def compare_scores(
    predictors: Sequence[Predictor],
    scores: Sequence[np.ndarray],
    threshold: float | np.ndarray,
    targets: np.ndarray | None = None,
) -> list[dict[str, Any]]:
    """As `compare_with_pytorch`, of scores that are there already: one array (N,) a predictor.

    The scores may come from several ensembles on the same variants, each for its own frames;
    `threshold` may be one a frame (N,).
    """
    expected = _expected(predictors[0], scores[0])
    return [
        _compare(expected, own, predictor, threshold, targets)
        for own, predictor in zip(scores, predictors)
    ]


def score_held_out(
    variants: Mapping[str, Sequence[Predictor]], frames: np.ndarray, held_out: Sequence[str]
) -> list[np.ndarray]:
    """Scores (N,) of every variant, where each held-out subset has an ensemble of its own.

    Args:
        variants: the same backends and precisions for each held-out subset.
        frames: uint8 RGB (N, H, W, 3).
        held_out: the subset of each frame (N,).

    Raises:
        ValueError: the variants of two subsets differ.
    """
    subsets = np.asarray(held_out)
    parts = {}
    for subset in dict.fromkeys(subsets):
        own = subsets == subset
        parts[subset] = own, [predictor.predict(frames[own]) for predictor in variants[subset]]
    names = {tuple(predictor.name for predictor in variants[subset]) for subset in parts}
    if len(names) != 1:
        raise ValueError(f"the ensembles run on different variants: {sorted(names)}")
    scores = [np.empty(len(frames), np.float32) for _ in names.pop()]
    for own, found in parts.values():
        for row, score in zip(scores, found):
            row[own] = score
    return scores


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
) -> dict[str, Any]:
    difference = float(np.max(np.abs(scores - expected)))
    tolerance = TOLERANCE[other.precision]
    if other.located:
        tolerance = max(tolerance, CROPS_TOLERANCE)
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
        steps = _smallest_steps(targets)
        row["passed"] = all(
            abs(changes[name + "_change"]) <= max(limit, steps[name]) + 1e-9
            for name, limit in METRIC_TOLERANCE.items()
        )
    return row


def _smallest_steps(targets: np.ndarray) -> dict[str, float]:
    """How much each metric changes when one pair of frames, or one visible frame, changes sides."""
    visible = int(np.sum(np.asarray(targets) == 0))
    return {
        "auroc": 1 / max(1, visible * (len(targets) - visible)),
        "specificity_at_95": 1 / max(1, visible),
    }


def _metrics(targets: np.ndarray, scores: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    # Of the study extra, which a Jetson does not have.
    from clipassistnet.evaluation.discrimination import METRICS

    found = {}
    for name, metric in METRICS.items():
        found[name] = metric(targets, scores)
        found[name + "_change"] = found[name] - metric(targets, expected)
    return found
