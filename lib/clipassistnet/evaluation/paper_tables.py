"""The paper's Tables 2 and 3, and differences between their rows, paired over the same videos.

The metrics are those of `METRICS`; every interval resamples videos, or patients with by="patient".
"""

from collections.abc import Callable, Mapping
from typing import Unpack

import pandas as pd
from numpy.typing import ArrayLike

from clipassistnet.evaluation.discrimination import METRICS
from clipassistnet.evaluation.intervals import Difference, corrected_resampled_ttest
from clipassistnet.evaluation.resampling import Sampling, bootstrap, paired_bootstrap
from clipassistnet.evaluation.targets import require_each_once, with_target


def fold_metrics(predictions: pd.DataFrame, column: str = "loss") -> pd.DataFrame:
    """One row per loss, fold and metric: loss, fold, frames, metric, value."""
    rows = []
    for (name, fold), frames in require_each_once(predictions, column).groupby(
        [column, "fold"], sort=False
    ):
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
    """Table 2: one row per loss and metric: loss, metric, folds, mean, sd, low, high, left_out.

    `predictions` holds the frames of all folds once for each value of `column` (loss, or recipe):
    that column, fold, video, frame, label or target, score. Mean and standard deviation (n - 1) are
    over folds; the interval of the mean resamples videos within their fold. `within=None` is for
    folds that are too small for that: `pooled` is then the metric of all frames together, and low
    and high are its interval.
    """
    predictions = require_each_once(predictions, column)
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


def single_split(predictions: pd.DataFrame) -> dict[str, float]:
    """AUROC and specificity of BCE on the first fold, as quantities of `published.PAPER`.

    `predictions`: loss, fold, target, score.
    """
    bce = predictions[predictions["loss"] == "bce"]
    first = bce[bce["fold"] == bce["fold"].min()]
    names = {"auroc": "single split AUROC"}
    names["specificity_at_95"] = "single split specificity at 95 % sensitivity"
    return {names[m]: function(first["target"], first["score"]) for m, function in METRICS.items()}


def table3(predictions: pd.DataFrame, **sampling: Unpack[Sampling]) -> pd.DataFrame:
    """Table 3: one row per model (members, ensemble) and metric.

    model, metric, estimate, low, high, left_out. `predictions` holds the test frames once for each
    model: model, video, frame, label or target, score.
    """
    predictions = require_each_once(predictions, "model")
    rows = []
    for model, frames in predictions.groupby("model", sort=False):
        for metric, function in METRICS.items():
            interval = bootstrap(frames, function, **sampling)
            rows.append({"model": model, "metric": metric, **interval._asdict()})
    return pd.DataFrame(rows)


def mean_aurocs(table2: pd.DataFrame) -> dict[str, object]:
    """auroc, {loss: mean over folds}, and best_loss of `table2`."""
    means = table2[table2["metric"] == "auroc"].set_index("loss")["mean"]
    return {"auroc": means.to_dict(), "best_loss": means.idxmax()}


def metrics_of(model: str, table3: pd.DataFrame) -> dict[str, float]:
    """{metric: estimate} of one model of `table3`."""
    return table3[table3["model"] == model].set_index("metric")["estimate"].to_dict()


def by_protocol(
    predictions: pd.DataFrame, table: Callable[..., pd.DataFrame], **options: object
) -> pd.DataFrame:
    """`table` (table2 or table3) of the clipper frames, then of all frames: column `judged`."""
    kinds = {"clipper frames": "leave out", "all frames": "invisible"}
    tables = [
        table(with_target(predictions, absent), **options).assign(judged=name)
        for name, absent in kinds.items()
    ]
    return pd.concat(tables, ignore_index=True)


def side_by_side(frames: pd.DataFrame, scores: Mapping[str, ArrayLike]) -> pd.DataFrame:
    """The frames once for each `model`, with its scores: {model: p(invisible) (frames,)}."""
    return pd.concat([frames.assign(model=name, score=own) for name, own in scores.items()])


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

    One row per value and metric (no row where there is no other value): difference, low, high, p
    (paired bootstrap), left_out. With `within="fold"` the differences are means over folds, and t
    and p_t are those of the corrected resampled t-test; its training and test sizes are the frames
    of the other folds and of the fold. Raises ValueError for an unknown reference.
    """
    predictions = require_each_once(predictions, column)
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
