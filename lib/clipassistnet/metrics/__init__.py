"""What the study reports: the metrics, their intervals, and Tables 2 and 3.

Positive class: tip invisible (target 1); scores are p(invisible). The building blocks live in
`discrimination` (metrics of one set of frames), `resampling` and `intervals` (intervals and tests
over videos) and are offered here under one name.
"""

from collections.abc import Sequence
from typing import Unpack

import numpy as np
import pandas as pd

from clipassistnet.metrics.conformal import (
    Guarantee,
    missed,
    threshold_with_guarantee,
    videos_needed,
)
from clipassistnet.metrics.discrimination import (
    SENSITIVITY,
    auroc,
    one_class,
    predictive_values,
    rates,
    ratio,
    specificity_at_sensitivity,
    threshold_at_sensitivity,
    with_target,
)
from clipassistnet.metrics.intervals import (
    Difference,
    Interval,
    corrected_resampled_ttest,
    show,
)
from clipassistnet.metrics.patients import by_patient
from clipassistnet.metrics.resampling import Sampling, bootstrap, paired_bootstrap

__all__ = [
    "METRICS",
    "Difference",
    "Guarantee",
    "Interval",
    "auroc",
    "bootstrap",
    "by_patient",
    "compare",
    "corrected_resampled_ttest",
    "ensemble",
    "fold_metrics",
    "missed",
    "paired_bootstrap",
    "paper_threshold",
    "per_video",
    "per_video_rates",
    "predictive_values",
    "rates",
    "ratio",
    "show",
    "specificity_at_sensitivity",
    "table2",
    "table3",
    "threshold_at_sensitivity",
    "threshold_with_guarantee",
    "videos_needed",
    "with_target",
]

METRICS = {"auroc": auroc, "specificity_at_95": specificity_at_sensitivity}


def per_video(predictions: pd.DataFrame, sensitivity: float = SENSITIVITY) -> pd.DataFrame:
    """One row a video: video, frames, prevalence, auroc, threshold, reason.

    `threshold` is the video's own threshold at this sensitivity. A video with one class only is
    listed with nan and the reason, and left out of `paper_threshold`.
    """
    rows = []
    for video, frames in _judged(predictions).groupby("video"):
        target, score = frames["target"].to_numpy(), frames["score"].to_numpy()
        reason = one_class(target)
        threshold = threshold_at_sensitivity(target, score, sensitivity)
        rows.append(
            {
                "video": video,
                "frames": len(frames),
                "prevalence": target.mean(),
                "auroc": np.nan if reason else auroc(target, score),
                "threshold": np.nan if reason else threshold,
                "reason": reason,
            }
        )
    return pd.DataFrame(rows)


def paper_threshold(videos: pd.DataFrame) -> float:
    """The paper's one threshold for all: the median of the thresholds of `per_video`.

    Fitted on the very videos it judges: show it as "threshold from: test (as in the paper)" and
    never hand it on to anything.
    """
    thresholds = videos["threshold"].dropna()
    if thresholds.empty:
        raise ValueError("no video has both classes: there is no per-video threshold")
    return float(thresholds.median())


def per_video_rates(predictions: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """`rates` of every video at one threshold (Fig. 3): video, frames, sensitivity, ..."""
    rows = [
        {"video": video, "frames": len(f), **rates(f["target"], f["score"], threshold)}
        for video, f in _judged(predictions).groupby("video")
    ]
    return pd.DataFrame(rows)


def ensemble(members: pd.DataFrame, weights: Sequence[float] = ()) -> pd.DataFrame:
    """One row a frame: the members' rows with the weighted mean of their scores (equal weights).

    `members` holds the frames once for each `model`: model, video, frame, score and what else
    belongs to a frame; `weights` follow the order in which the models first appear.
    ValueError where the members did not judge the same frames, or for impossible weights.
    """
    names = list(members["model"].unique())
    weights = list(weights) or [1.0] * len(names)
    if len(weights) != len(names) or min(weights) < 0 or not sum(weights) > 0:
        raise ValueError(f"weights {weights}: expected one, not negative, for each of {names}")
    rows = _judged(members.assign(target=0), "model").drop(columns="target")
    parts = [rows[rows["model"] == name].sort_values(["video", "frame"]) for name in names]
    shared = [part.drop(columns=["model", "score"]).reset_index(drop=True) for part in parts]
    for name, other in zip(names, shared, strict=True):
        if not other.equals(shared[0]):
            raise ValueError(f"models {names[0]} and {name} did not judge the same frames")
    score = np.average([part["score"] for part in parts], axis=0, weights=weights)
    return shared[0].assign(score=score)


def fold_metrics(predictions: pd.DataFrame, column: str = "loss") -> pd.DataFrame:
    """One row a loss, fold and metric: loss, fold, frames, metric, value."""
    rows = []
    for (name, fold), frames in _judged(predictions, column).groupby([column, "fold"], sort=False):
        for metric, function in METRICS.items():
            value = function(frames["target"], frames["score"])
            row = {column: name, "fold": fold, "frames": len(frames)}
            rows.append({**row, "metric": metric, "value": value})
    return pd.DataFrame(rows)


def table2(
    predictions: pd.DataFrame,
    *,
    column: str = "loss",
    by: str = "video",
    within: str | None = "fold",
    resamples: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Table 2: one row a loss and metric: loss, metric, folds, mean, sd, low, high, left_out.

    `predictions` holds the frames of all folds once for each value of `column` (loss, or recipe):
    that column, fold, video, frame, label or target, score. Mean and standard deviation (n - 1) run
    over folds; the interval of the mean resamples videos within their fold. With `within=None`,
    for folds that are too small for that, `pooled` is the metric of all frames together, and low
    and high are its interval.
    """
    predictions = _judged(predictions, column)
    rows = []
    by_fold = fold_metrics(predictions, column)
    for (name, metric), folds in by_fold.groupby([column, "metric"], sort=False):
        frames, values = predictions[predictions[column] == name], folds["value"]
        interval = bootstrap(
            frames, METRICS[metric], by=by, within=within, resamples=resamples, seed=seed
        )
        row = {column: name, "metric": metric, "folds": len(folds)}
        row |= {"mean": values.mean(skipna=False), "sd": values.std(ddof=1, skipna=False)}
        row |= {} if within else {"pooled": interval.estimate}
        limits = {"low": interval.low, "high": interval.high, "left_out": interval.left_out}
        rows.append({**row, **limits})
    return pd.DataFrame(rows)


def table3(predictions: pd.DataFrame, **sampling: Unpack[Sampling]) -> pd.DataFrame:
    """Table 3: one row a model (members, ensemble) and metric.

    model, metric, estimate, low, high, left_out. `predictions` holds the test frames once for each
    model: model, video, frame, label or target, score.
    """
    predictions = _judged(predictions, "model")
    rows = []
    for model, frames in predictions.groupby("model", sort=False):
        for metric, function in METRICS.items():
            interval = bootstrap(frames, function, **sampling)
            rows.append({"model": model, "metric": metric, **interval._asdict()})
    return pd.DataFrame(rows)


def compare(
    predictions: pd.DataFrame,
    column: str,
    reference: str,
    *,
    by: str = "video",
    within: str | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Every other value of `column` minus the reference, paired over the same videos.

    One row (none where there is no other) a value and metric: difference, low, high, p (paired
    bootstrap), left_out. With `within="fold"` the differences are means over folds, and t and p_t
    of the corrected resampled t-test stand beside them, its sizes counted in frames: the fold
    against all the others.
    """
    predictions = _judged(predictions, column)
    names = [str(name) for name in predictions[column].unique()]
    if reference not in names:
        raise ValueError(f"{column} {reference!r}: expected one of {', '.join(names)}")
    rows = []
    for name in (name for name in names if name != reference):
        a, b = (predictions[predictions[column] == n] for n in (name, reference))
        for metric, function in METRICS.items():
            paired = paired_bootstrap(
                a, b, function, by=by, within=within, resamples=resamples, seed=seed
            )
            row = {column: name, "reference": reference, "metric": metric, **paired._asdict()}
            rows.append({**row, **(_corrected(a, b, metric, column) if within == "fold" else {})})
    empty = [column, "reference", "metric", *Difference._fields]
    return pd.DataFrame(rows, columns=None if rows else empty)


def _corrected(a: pd.DataFrame, b: pd.DataFrame, metric: str, column: str) -> dict[str, float]:
    a, b = (
        table[table["metric"] == metric].set_index("fold").sort_index()
        for table in (fold_metrics(a, column), fold_metrics(b, column))
    )
    test = a["frames"]
    t, p = corrected_resampled_ttest(a["value"] - b["value"], test.sum() - test, test)
    return {"t": t, "p_t": p}


def _judged(predictions: pd.DataFrame, column: str | None = None) -> pd.DataFrame:
    """Predictions with a target, each frame exactly once (for each value of `column`)."""
    table = predictions if "target" in predictions else with_target(predictions)
    keys = [key for key in (column, "video", "frame") if key and key in table]
    twice = table[table.duplicated(keys)] if "frame" in table else table.iloc[:0]
    if len(twice):
        first = ", ".join(f"{key} {twice.iloc[0][key]}" for key in keys)
        raise ValueError(f"{len(twice)} frames are there more than once, the first: {first}")
    return table
