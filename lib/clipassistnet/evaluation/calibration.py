"""Whether p(invisible) is a probability: reliability, Brier score, calibration error, temperature.

A temperature holds for the scorer it was fitted on. `out_of_fold` fits the temperature of a fold on
the other folds, so no frame is scored at a temperature that was fitted on it.
"""

from typing import Unpack

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit
from sklearn.metrics import brier_score_loss, log_loss

from clipassistnet.evaluation.discrimination import ratio
from clipassistnet.evaluation.resampling import Draws, Sampling, bootstrap
from clipassistnet.evaluation.targets import checked, ensure_target

BINS = 10
_EDGE = 1e-6  # nearest to 0 and 1 that a probability counts as


def expected_calibration_error(target: ArrayLike, score: ArrayLike, bins: int = BINS) -> float:
    """Mean gap of score and share of invisible frames over bins of equal width, by frames.

    Naeini, Cooper & Hauskrecht, AAAI 2015. With few frames chance alone makes it more than 0.
    """
    target, score = checked(target, score)
    code = _bin(score, bins)
    return float(np.abs(np.bincount(code, target - score)).sum() / len(score))


def reliability(
    predictions: pd.DataFrame,
    *,
    bins: int = BINS,
    by: str = "video",
    **sampling: Unpack[Draws],
) -> pd.DataFrame:
    """One row per bin that holds frames: frames, videos, score (mean), invisible, low, high.

    `invisible` is the share of invisible frames in the bin. Its 95 % interval is over videos, from
    the resamples that hold a frame of the bin; it is nan where all these frames are of one video.
    """
    table = ensure_target(predictions)
    table = table.assign(bin=_bin(table["score"].to_numpy(), bins), whole=1)
    rows = []
    for _, frames in table.groupby("bin"):
        row = {"frames": len(frames), "videos": frames["video"].nunique()}
        share = bootstrap(frames, ratio, by=by, columns=("target", "whole"), **sampling)
        row |= {"score": frames["score"].mean(), "invisible": share.estimate}
        rows.append({**row, "low": share.low, "high": share.high})
    return pd.DataFrame(rows)


def temperature(target: ArrayLike, score: ArrayLike) -> float:
    """The T at which sigmoid(logit(score) / T) has the least log loss (Guo et al., ICML 2017).

    Above 1 the scores were too extreme, below 1 too close to 0.5. ValueError where all frames are
    of one class.
    """
    target, score = checked(target, score)
    if target.all() or not target.any():
        raise ValueError("frames of one class only have no temperature")
    best = minimize_scalar(
        lambda log_t: log_loss(target, tempered(score, np.exp(log_t))), bounds=(-3, 3)
    )
    return float(np.exp(best.x))


def tempered(score: ArrayLike, temperature: float) -> np.ndarray:
    """Scores (N,) at a temperature; their order does not change."""
    return expit(logit(np.clip(np.asarray(score), _EDGE, 1 - _EDGE)) / temperature)


def out_of_fold(predictions: pd.DataFrame) -> pd.DataFrame:
    """Out-of-fold predictions (with `fold`) with their scores tempered, and a column temperature.

    The temperature of a fold is fitted on the frames of all the other folds.
    """
    table = ensure_target(predictions)
    parts = []
    for fold in table["fold"].unique():
        own, others = table[table["fold"] == fold], table[table["fold"] != fold]
        t = temperature(others["target"], others["score"])
        parts.append(own.assign(score=tempered(own["score"], t), temperature=t))
    return pd.concat(parts)


def calibration_table(
    scorers: dict[str, pd.DataFrame], **sampling: Unpack[Sampling]
) -> pd.DataFrame:
    """One row per scorer and measure: scorer, measure, estimate, low, high, left_out.

    Measures are brier (scikit-learn's; a constant score at the prevalence p has p (1 - p)) and
    expected_calibration_error.
    """
    measures = {
        "brier": brier_score_loss,
        "expected_calibration_error": expected_calibration_error,
    }
    rows = []
    for name, predictions in scorers.items():
        table = ensure_target(predictions)
        for label, measure in measures.items():
            interval = bootstrap(table, measure, **sampling)
            rows.append({"scorer": name, "measure": label, **interval._asdict()})
    return pd.DataFrame(rows)


def _bin(score: np.ndarray, bins: int) -> np.ndarray:
    if not ((score >= 0) & (score <= 1)).all():
        raise ValueError("scores outside 0 to 1 are no probabilities")
    return np.minimum((score * bins).astype(int), bins - 1)
