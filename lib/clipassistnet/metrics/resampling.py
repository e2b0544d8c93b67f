"""Intervals and tests that know the frames of one video are not independent.

Videos (patients where known) are resampled, never frames: Field & Welsh, J R Stat Soc B 69 (2007).
"""

import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import t as student
from sklearn.exceptions import UndefinedMetricWarning

from clipassistnet.metrics.discrimination import (
    SENSITIVITY,
    auroc,
    checked,
    positives_needed,
    specificity_at_sensitivity,
    with_target,
)

LIMITS = 0.025, 0.975  # of a 95 % interval
Statistic = Callable[..., float]


class Interval(NamedTuple):
    """An estimate and its 95 % interval."""

    estimate: float
    low: float
    high: float


class Difference(NamedTuple):
    """A paired difference, its 95 % interval and two-sided p-value."""

    difference: float
    low: float
    high: float
    p: float


def bootstrap(
    predictions: pd.DataFrame,
    statistic: Statistic,
    *,
    by: str = "video",
    within: str | None = None,
    columns: Sequence[str] = ("target", "score"),
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """A statistic with its percentile interval when whole videos are drawn with replacement.

    `statistic` takes the arrays of `columns` and gives a number; every function of scikit-learn
    does. `auroc` and `specificity_at_sensitivity` take a fast way to the same values (seconds for
    300 videos and 110,000 frames). `by="patient"` resamples patients. `within="fold"` computes the
    statistic fold by fold and averages, videos being drawn within their fold (Table 2).
    The interval holds for the trained networks as they are: it covers the choice of videos, not
    the luck of training. Resamples in which the statistic is undefined are left out and counted in
    a warning; one video alone supports no interval (nan).
    """
    table = _ready(predictions, [*columns, by, *([within] if within else [])])
    clusters = _Clusters(table, by, within)
    values = clusters.values(table, statistic, columns, clusters.draw(resamples, seed))
    return Interval(clusters.estimate(table, statistic, columns), *clusters.limits(values))


def paired_bootstrap(
    predictions_a: pd.DataFrame,
    predictions_b: pd.DataFrame,
    statistic: Statistic,
    *,
    by: str = "video",
    within: str | None = None,
    columns: Sequence[str] = ("target", "score"),
    resamples: int = 2000,
    seed: int = 0,
) -> Difference:
    """Statistic of A minus that of B, both on the same resampled videos; see `bootstrap`.

    p doubles the smaller share of resampled differences on either side of zero: about the level at
    which the percentile interval would touch zero. ValueError where A and B hold other frames.
    """
    needed = [*columns, by, *([within] if within else [])]
    judged = [column for column in (by, within, "target") if column in needed]
    a, b = _aligned(_ready(predictions_a, needed), _ready(predictions_b, needed), judged)
    clusters = _Clusters(a, by, within)
    counts = clusters.draw(resamples, seed)
    differences = clusters.values(a, statistic, columns, counts)
    differences = differences - clusters.values(b, statistic, columns, counts)
    estimate = clusters.estimate(a, statistic, columns) - clusters.estimate(b, statistic, columns)
    low, high = clusters.limits(differences)
    if np.isnan(low):
        return Difference(estimate, low, high, float("nan"))
    known = differences[np.isfinite(differences)]
    tails = (1 + (known <= 0).sum(), 1 + (known >= 0).sum())
    return Difference(estimate, low, high, float(min(1, 2 * min(tails) / (1 + len(known)))))


def corrected_resampled_ttest(
    differences: Sequence[float], train_sizes: Sequence[int], test_sizes: Sequence[int]
) -> tuple[float, float]:
    """(t, two-sided p) of one difference a fold: Nadeau & Bengio, Mach Learn 52 (2003).

    The training sets of the folds overlap, so their variance is multiplied by 1/k + test/train
    (the mean ratio over folds) in place of 1/k. (0, 1) where every difference is zero.
    """
    differences = np.asarray(differences, dtype=float)
    train, test = np.asarray(train_sizes, dtype=float), np.asarray(test_sizes, dtype=float)
    if differences.ndim != 1 or len(differences) < 2:
        raise ValueError(
            f"differences {differences.shape}: expected one for each of 2 or more folds"
        )
    if not differences.shape == train.shape == test.shape or min(train.min(), test.min()) <= 0:
        raise ValueError("expected a positive training and test size for every fold")
    if not differences.any():
        return 0.0, 1.0
    k = len(differences)
    variance = (1 / k + np.mean(test / train)) * differences.var(ddof=1)
    with np.errstate(divide="ignore"):
        t = float(differences.mean() / np.sqrt(variance))
    return t, float(2 * student.sf(abs(t), k - 1))


class _Clusters:
    """The videos (or patients) of a table, the folds they lie in, and draws of them."""

    def __init__(self, table: pd.DataFrame, by: str, within: str | None):
        self.by = by
        self.code, names = pd.factorize(table[by], sort=True)
        parts = pd.factorize(table[within], sort=True)[0] if within else np.zeros(len(table), int)
        self.rows = [np.flatnonzero(parts == part) for part in range(parts.max() + 1)]
        self.members = [np.unique(self.code[rows]) for rows in self.rows]
        self.size = len(names)
        if sum(map(len, self.members)) > self.size:
            shared = table.groupby(by)[within].nunique().loc[lambda parts: parts > 1].index
            raise ValueError(f"{by} {', '.join(map(str, shared[:5]))}: in more than one {within}")

    def draw(self, resamples: int, seed: int) -> np.ndarray:
        """How often each cluster is drawn: int (resamples, clusters)."""
        rng = np.random.default_rng(seed)
        counts = np.zeros((resamples, self.size), dtype=np.int64)
        for members in self.members:
            n = len(members)
            counts[:, members] = rng.multinomial(n, np.full(n, 1 / n), size=resamples)
        return counts

    def values(self, table, statistic, columns, counts) -> np.ndarray:
        """The statistic under each row of counts, averaged over folds: (resamples,)."""
        compute = _FAST.get(statistic) if tuple(columns) == ("target", "score") else None
        arrays = [table[column].to_numpy() for column in columns]
        values = []
        for rows in self.rows:
            part = [array[rows] for array in arrays]
            if compute:
                values.append(compute(*checked(*part), self.code[rows], counts))
            else:
                values.append(_repeated(statistic, part, self.code[rows], counts))
        return np.mean(values, axis=0)

    def estimate(self, table, statistic, columns) -> float:
        once = np.ones((1, self.size), dtype=np.int64)
        return float(self.values(table, statistic, columns, once)[0])

    def limits(self, values: np.ndarray) -> tuple[float, float]:
        known = values[np.isfinite(values)]
        undefined = len(values) - len(known)
        if undefined:
            message = f"{undefined} of {len(values)} resamples left out: undefined there"
            warnings.warn(message, stacklevel=3)
        if self.size == len(self.members):
            warnings.warn(f"no interval from a single {self.by}", stacklevel=3)
            known = known[:0]
        return tuple(map(float, np.quantile(known, LIMITS))) if len(known) else (np.nan, np.nan)


def _repeated(statistic, arrays, code, counts) -> np.ndarray:
    """Any statistic, the plain way: the frames of a video drawn twice are there twice."""
    values = np.full(len(counts), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        for i, count in enumerate(counts):
            rows = np.repeat(np.arange(len(code)), count[code])
            values[i] = statistic(*(array[rows] for array in arrays)) if len(rows) else np.nan
    return values


def _auroc_by_cluster(target, score, code, counts) -> np.ndarray:
    """AUROC from pairs of clusters, counted once: pairs won (c, d) weigh count_c * count_d."""
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


def _specificity_by_cluster(target, score, code, counts) -> np.ndarray:
    """Specificity at 95 % sensitivity: frames are sorted once, each resample only weighs them."""
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


_FAST = {auroc: _auroc_by_cluster, specificity_at_sensitivity: _specificity_by_cluster}


def _ready(predictions: pd.DataFrame, needed: list[str]) -> pd.DataFrame:
    if "target" in needed and "target" not in predictions:
        predictions = with_target(predictions)
    missing = [column for column in needed if column not in predictions]
    if missing or predictions.empty:
        raise ValueError(
            f"missing columns {missing} in a table of {len(predictions)} rows and "
            f"{list(predictions.columns)}"
        )
    if predictions[needed].isna().any(axis=None):
        raise ValueError(f"missing values in one of {needed}")
    return predictions


def _aligned(a: pd.DataFrame, b: pd.DataFrame, judged: list[str]):
    """Both tables in the same order; their frames and the columns `judged` must agree."""
    keys = [key for key in ("video", "frame") if key in a and key in b]
    a, b = (table.sort_values(keys).reset_index(drop=True) for table in (a, b))
    for column in dict.fromkeys([*keys, *judged]):
        if column not in b or len(a) != len(b) or not (a[column] == b[column]).all():
            raise ValueError(f"the two tables differ in {column}: they must hold the same frames")
    if a.duplicated(keys).any():
        raise ValueError(f"the same {' and '.join(keys)} twice")
    return a, b
