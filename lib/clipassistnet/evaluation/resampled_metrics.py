"""Statistics of many resamples of clusters at once; each has the values of the plain way.

Every function takes the statistic's arrays (N,), the cluster of each frame, code (N,), and how
often each cluster is drawn, counts (resamples, clusters); it returns the values (resamples,), nan
where the statistic is undefined.
"""

import warnings
from collections.abc import Callable, Sequence

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning

from clipassistnet.evaluation.discrimination import (
    SENSITIVITY,
    auroc,
    positives_needed,
    ratio,
    specificity_at_sensitivity,
)
from clipassistnet.evaluation.targets import checked

Statistic = Callable[..., float]
Arrays = Sequence[np.ndarray]


def repeated(
    statistic: Statistic, arrays: Arrays, code: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """Any statistic, the plain way: a video that is drawn twice has its frames in twice."""
    values = np.full(len(counts), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        for i, count in enumerate(counts):
            rows = np.repeat(np.arange(len(code)), count[code])
            values[i] = statistic(*(array[rows] for array in arrays)) if len(rows) else np.nan
    return values


def _auroc(arrays: Arrays, code: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """AUROC from pairs of clusters (c, d), compared once; the pairs won weigh count_c * count_d."""
    target, score = checked(*arrays)
    size = counts.shape[1]
    invisible = np.bincount(code[target], minlength=size)
    visible = np.bincount(code[~target], minlength=size)
    order = np.argsort(score[target])
    scores, codes = score[target][order], code[target][order]
    won = np.zeros((size, size))
    for d in np.flatnonzero(visible):
        others = np.sort(score[~target & (code == d)])
        beaten = np.searchsorted(others, scores, "left") + np.searchsorted(others, scores, "right")
        won[:, d] = np.bincount(codes, weights=beaten / 2, minlength=size)
    with np.errstate(invalid="ignore"):
        pairs = (counts @ invisible) * (counts @ visible)
        return ((counts @ won) * counts).sum(axis=1) / pairs


def _specificity(arrays: Arrays, code: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Specificity at 95 % sensitivity: frames are sorted once, and each resample weighs them."""
    target, score = checked(*arrays)
    falling = np.flatnonzero(target)[np.argsort(-score[target])]
    rising = np.flatnonzero(~target)[np.argsort(score[~target])]
    below = np.searchsorted(score[rising], score[falling], "left")
    values = np.full(len(counts), np.nan)
    for i, count in enumerate(counts):
        found, quiet = np.cumsum(count[code[falling]]), count[code[rising]]
        total = quiet.sum()
        if total and len(found) and found[-1]:
            last = np.searchsorted(found, positives_needed(found[-1], SENSITIVITY))
            values[i] = quiet[: below[last]].sum() / total
    return values


def _ratio(arrays: Arrays, code: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """A ratio of two sums over frames: it needs only the sums of each cluster."""
    parts, wholes = (counts @ np.bincount(code, a, counts.shape[1]) for a in arrays)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(wholes == 0, np.nan, parts / wholes)


# The statistics that need not be repeated for each resample.
FAST: dict[Statistic, Callable[[Arrays, np.ndarray, np.ndarray], np.ndarray]] = {
    auroc: _auroc,
    specificity_at_sensitivity: _specificity,
    ratio: _ratio,
}
