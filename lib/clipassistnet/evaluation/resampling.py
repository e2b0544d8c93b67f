"""Intervals and tests for frames that are not independent within a video.

Whole videos (patients where known) are resampled, never frames: Field & Welsh, J R Stat Soc B 69
(2007).
"""

from collections.abc import Mapping, Sequence
from typing import TypedDict, Unpack

import numpy as np
import pandas as pd

from clipassistnet.evaluation.discrimination import ratio
from clipassistnet.evaluation.intervals import (
    Difference,
    Evidence,
    Interval,
    t_difference,
    t_interval,
)
from clipassistnet.evaluation.resampled_metrics import FAST, Statistic, repeated
from clipassistnet.evaluation.targets import ensure_target

LEAST_CLUSTERS = 3  # videos or patients; fewer support no interval


class Draws(TypedDict, total=False):
    """How often `bootstrap` resamples, from which seed."""

    resamples: int
    seed: int


class Sampling(Draws, total=False):
    """How `bootstrap` resamples: `by` "video" or "patient"."""

    by: str


def bootstrap(
    predictions: pd.DataFrame,
    statistic: Statistic,
    *,
    by: str = "video",
    within: str | None = None,
    columns: Sequence[str] = ("target", "score"),
    link: str = "logit",
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """A statistic with its 95 % interval over videos: whole videos are drawn with replacement.

    The interval holds for the trained networks as they are: it covers the choice of videos, not
    the randomness of training. Resamples in which the statistic is undefined are left out;
    `left_out` is their share. One or two videos support no interval (nan).

    Args:
        predictions: video, the columns `columns`, `by` and `within`; label may replace target.
        statistic: takes the arrays of `columns` and returns a number, as scikit-learn's metrics do.
            `auroc`, `specificity_at_sensitivity` and `ratio` have a fast way to the same values
            (seconds for 300 videos and 110,000 frames).
        by: what is resampled, "video" or "patient".
        within: "fold" computes the statistic for each fold and averages; videos are drawn within
            their fold.
        link: the scale on which the interval is made (see `intervals`): "logit" for shares, "log"
            for positive numbers, else "identity".

    Raises:
        ValueError: a column is missing or has missing values, or a video is in two folds.
    """
    table = _ready(predictions, [*columns, by, *([within] if within else [])])
    clusters = _Clusters(table, by, within)
    estimate = clusters.estimate(table, statistic, columns)
    if clusters.few:
        return Interval(estimate, np.nan, np.nan)
    values = clusters.values(table, statistic, columns, clusters.draw(resamples, seed))
    return t_interval(estimate, values, clusters.evidence(), link=link)


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

    The statistic is a share; p is the level at which the interval would touch zero.
    Raises ValueError where A and B do not hold the same frames.
    """
    needed = [*columns, by, *([within] if within else [])]
    judged = [column for column in (by, within, "target") if column in needed]
    a, b = _aligned(_ready(predictions_a, needed), _ready(predictions_b, needed), judged)
    clusters = _Clusters(a, by, within)
    estimate = clusters.estimate(a, statistic, columns) - clusters.estimate(b, statistic, columns)
    if clusters.few:
        return Difference(estimate, np.nan, np.nan, np.nan)
    counts = clusters.draw(resamples, seed)
    differences = clusters.values(a, statistic, columns, counts)
    differences = differences - clusters.values(b, statistic, columns, counts)
    return t_difference(estimate, differences, clusters.evidence())


def ratio_table(
    tables: Mapping[str, pd.DataFrame],
    measures: Mapping[str, tuple[str, str, str]],
    heads: tuple[str, str],
    **sampling: Unpack[Sampling],
) -> pd.DataFrame:
    """One row per table and measure: the two columns `heads`, estimate, low, high, left_out.

    A measure {name: (part, whole, link)} is the ratio of the sums of two columns; `link` is the
    scale of its interval (see `bootstrap`).
    """
    rows = []
    for name, table in tables.items():
        for measure, (*columns, link) in measures.items():
            interval = bootstrap(table, ratio, columns=columns, link=link, **sampling)
            rows.append(dict(zip(heads, (name, measure), strict=True)) | interval._asdict())
    return pd.DataFrame(rows)


class _Clusters:
    """The videos (or patients) of a table, their folds, and draws of them."""

    def __init__(self, table: pd.DataFrame, by: str, within: str | None):
        self.by = by
        self.code, names = pd.factorize(table[by], sort=True)
        parts = pd.factorize(table[within], sort=True)[0] if within else np.zeros(len(table), int)
        self.rows = [np.flatnonzero(parts == part) for part in range(parts.max() + 1)]
        self.members = [np.unique(self.code[rows]) for rows in self.rows]
        self.size = len(names)
        # With one in each fold nothing varies, and two say next to nothing of all others.
        self.few = self.size == len(self.members) or self.size < LEAST_CLUSTERS
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

    def values(
        self,
        table: pd.DataFrame,
        statistic: Statistic,
        columns: Sequence[str],
        counts: np.ndarray,
    ) -> np.ndarray:
        """The statistic under each row of counts, averaged over folds: (resamples,)."""
        arrays = [table[column].to_numpy() for column in columns]
        values = []
        for rows in self.rows:
            given = [array[rows] for array in arrays], self.code[rows], counts
            compute = FAST.get(statistic)
            values.append(compute(*given) if compute else repeated(statistic, *given))
        return np.mean(values, axis=0)

    def estimate(self, table: pd.DataFrame, statistic: Statistic, columns: Sequence[str]) -> float:
        """The statistic of the table itself, averaged over folds."""
        once = np.ones((1, self.size), dtype=np.int64)
        return float(self.values(table, statistic, columns, once)[0])

    def evidence(self) -> Evidence:
        """What these clusters are worth (see `Evidence`)."""
        frames = np.bincount(self.code)
        return Evidence.of([frames[members] for members in self.members])


def _ready(predictions: pd.DataFrame, needed: list[str]) -> pd.DataFrame:
    if "target" in needed:
        predictions = ensure_target(predictions)
    missing = [column for column in needed if column not in predictions]
    if missing or predictions.empty:
        raise ValueError(
            f"missing columns {missing} in a table of {len(predictions)} rows and "
            f"{list(predictions.columns)}"
        )
    if predictions[needed].isna().any(axis=None):
        raise ValueError(f"missing values in one of {needed}")
    return predictions


def _aligned(
    a: pd.DataFrame, b: pd.DataFrame, judged: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables in the same order; their frames and the columns `judged` must agree."""
    keys = [key for key in ("video", "frame") if key in a and key in b]
    a, b = (table.sort_values(keys).reset_index(drop=True) for table in (a, b))
    for column in dict.fromkeys([*keys, *judged]):
        if column not in b or len(a) != len(b) or not (a[column] == b[column]).all():
            raise ValueError(f"the two tables differ in {column}: they must hold the same frames")
    if a.duplicated(keys).any():
        raise ValueError(f"the same {' and '.join(keys)} twice")
    return a, b
