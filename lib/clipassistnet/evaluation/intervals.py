"""Intervals from resampled values that also hold with few videos, and tests.

Percentile limits of a bootstrap over few videos are too narrow. This module uses the t interval
with the bootstrap's standard error, on a scale on which the statistic is roughly normal. Its
degrees of freedom come from the effective number of videos. `tools/interval_coverage.py` measures
how often such an interval holds the true value.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit
from scipy.stats import t as student

LEVEL = 0.975  # of Student's t: two-sided 95 %
LEAST = 1e-3  # on "logit" and "log" the least value; 1 - LEAST is the largest on "logit"
# Scales for a share between 0 and 1, for a positive number, for any number.
LINKS = {"logit": (logit, expit), "log": (np.log, np.exp), "identity": (np.array, np.array)}


class Interval(NamedTuple):
    """An estimate, its 95 % interval, and the share of resamples in which it is undefined."""

    estimate: float
    low: float
    high: float
    left_out: float = 0.0


class Difference(NamedTuple):
    """A paired difference, its 95 % interval and two-sided p-value; `left_out` as of Interval."""

    difference: float
    low: float
    high: float
    p: float
    left_out: float = 0.0


class Evidence(NamedTuple):
    """How much a bootstrap underestimates the variance over these clusters, and degrees of freedom.

    With G clusters in k folds the variance is multiplied by G / (G - k). Clusters of unequal size
    n count as (sum n)^2 / sum n^2, less k, degrees of freedom, and as 1 at least: the effective
    number of clusters of Carter, Schnepel & Steigerwald, Rev Econ Stat 99 (2017), for equally
    correlated frames.
    """

    inflation: float
    df: float

    @classmethod
    def of(cls, parts: Sequence[np.ndarray]) -> "Evidence":
        """From the number of frames of each cluster, one array per fold."""
        clusters, folds = sum(map(len, parts)), len(parts)
        effective = sum(sizes.sum() ** 2 / (sizes**2).sum() for sizes in map(np.asarray, parts))
        return cls(clusters / (clusters - folds), max(effective - folds, 1.0))


def t_interval(
    estimate: float, values: np.ndarray, evidence: Evidence, *, link: str = "logit"
) -> Interval:
    """The estimate with its t interval from resampled values (n,), on the scale of `link`.

    nan values are left out; the limits are nan where fewer than two values remain. Where all values
    are equal they give no width: a share of 0 or 1 then gets the exact binomial limit (Clopper &
    Pearson) for df + 1 clusters, and other values get nan limits. A positive number that is zero in
    some resamples has no logarithm there: its interval is made on the number itself, from 0 on.
    """
    values, left_out = _known(values)
    if len(values) < 2:
        return Interval(estimate, np.nan, np.nan, left_out)
    if link == "log" and min(estimate, values.min()) <= 0:
        found = t_interval(estimate, values, evidence, link="identity")
        return found._replace(low=max(found.low, 0.0), left_out=left_out)
    forward, back = LINKS[link]
    least = -np.inf if link == "identity" else LEAST
    most = 1 - LEAST if link == "logit" else np.inf
    error = np.sqrt(evidence.inflation) * forward(np.clip(values, least, most)).std(ddof=1)
    if error < 1e-12:
        return Interval(estimate, *_without_width(estimate, evidence, link), left_out)
    middle, half = forward(np.clip(estimate, least, most)), student.ppf(LEVEL, evidence.df) * error
    low, high = back(middle - half), back(middle + half)
    return Interval(estimate, float(min(low, estimate)), float(max(high, estimate)), left_out)


def _without_width(estimate: float, evidence: Evidence, link: str) -> tuple[float, float]:
    if link != "logit" or estimate not in (0, 1):
        return np.nan, np.nan
    least = (1 - LEVEL) ** (1 / (evidence.df + 1))
    return (least, 1.0) if estimate == 1 else (0.0, 1 - least)


def t_difference(difference: float, values: np.ndarray, evidence: Evidence) -> Difference:
    """A difference of two shares with its t interval and p, from resampled differences (n,).

    p is at least 2 / (n + 1), the smallest value that n resamples support. nan values are treated
    as in `t_interval`.
    """
    values, left_out = _known(values)
    if len(values) < 2:
        return Difference(difference, np.nan, np.nan, np.nan, left_out)
    error = np.sqrt(evidence.inflation) * values.std(ddof=1)
    half = student.ppf(LEVEL, evidence.df) * error
    low, high = max(difference - half, -1.0), min(difference + half, 1.0)
    least = 2 / (1 + len(values))
    if error < 1e-12:
        p = 1.0 if difference == 0 else least
        return Difference(difference, difference, difference, p, left_out)
    p = 2 * student.sf(abs(difference) / error, evidence.df)
    return Difference(difference, float(low), float(high), float(max(p, least)), left_out)


def _known(values: np.ndarray) -> tuple[np.ndarray, float]:
    """The values that are not nan, and the share of those that are."""
    known = np.isfinite(values)
    return values[known], float(1 - known.mean())


def corrected_resampled_ttest(
    differences: Sequence[float], train_sizes: Sequence[int], test_sizes: Sequence[int]
) -> tuple[float, float]:
    """(t, two-sided p) of one difference per fold: Nadeau & Bengio, Mach Learn 52 (2003).

    The training sets of the folds overlap, so their variance is multiplied by 1/k + test/train
    (the mean ratio over folds) instead of 1/k. (0, 1) where every difference is zero.
    """
    values = np.asarray(differences, dtype=float)
    train, test = np.asarray(train_sizes, dtype=float), np.asarray(test_sizes, dtype=float)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"differences {values.shape}: expected one for each of 2 or more folds")
    if not values.shape == train.shape == test.shape or min(train.min(), test.min()) <= 0:
        raise ValueError("expected a positive training and test size for every fold")
    if not values.any():
        return 0.0, 1.0
    k = len(values)
    variance = (1 / k + np.mean(test / train)) * values.var(ddof=1)
    with np.errstate(divide="ignore"):
        t = float(values.mean() / np.sqrt(variance))
    return t, float(2 * student.sf(abs(t), k - 1))
