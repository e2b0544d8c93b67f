"""Figures of scores and thresholds: ROC, scores by label, what each threshold costs."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score, roc_curve

from clipassistnet.evaluation import published
from clipassistnet.evaluation.plots.basic import matrix
from clipassistnet.evaluation.plots.style import (
    INVISIBLE,
    LABELS,
    OTHERS,
    VISIBLE,
    legend_beside,
)

STYLES = ("--", ":", "-.")  # of the thresholds


def roc(predictions: pd.DataFrame, bold: str) -> Figure:
    """ROC curves of every model; the one named `bold` stands out of the grey others.

    `predictions` holds the frames once for each model: model, target, score.
    """
    figure, axes = plt.subplots(figsize=(6.4, 4.4))
    axes.plot([0, 1], [0, 1], color="black", linewidth=0.8)
    label = f"members (n = {predictions['model'].nunique() - 1})"
    for name, rows in predictions.groupby("model"):
        x, y, _ = roc_curve(rows["target"], rows["score"])
        if name == bold:
            area = roc_auc_score(rows["target"], rows["score"])
            named = f"{name}, AUROC {area:.2f}"
            axes.plot(x, y, color=INVISIBLE, linewidth=3, label=named, zorder=3)
        else:
            axes.plot(x, y, color=OTHERS, linewidth=1.2, label=label)
            label = ""
    axes.axhline(0.95, color="black", linestyle=":", linewidth=1)
    paper = 1 - published.PAPER["ensemble specificity at 95 % sensitivity"]
    axes.plot(paper, 0.95, "*", color="black", markersize=13, label="paper's ensemble", zorder=4)
    frames = int((predictions["model"] == bold).sum())
    axes.set(xlabel=f"1 - specificity (n = {frames} frames)", ylabel="sensitivity", aspect="equal")
    legend_beside(axes)
    return figure


def score_histogram(predictions: pd.DataFrame, thresholds: dict[str, float]) -> Figure:
    """Scores, a panel for each label that occurs, with a line at each threshold."""
    shown = [label for label in LABELS if (predictions["label"] == label).any()]
    figure, panels = plt.subplots(
        len(shown), 1, figsize=(8, 1.3 * len(shown) + 0.8), sharex=True, squeeze=False
    )
    for axes, label in zip(panels[:, 0], shown, strict=True):
        scores = predictions.loc[predictions["label"] == label, "score"]
        axes.hist(scores, bins=np.linspace(0, 1, 41), color=LABELS[label])
        axes.set_ylabel(f"{label}\n(n = {len(scores)})")
        axes.grid(visible=False, axis="y")
        _lines(axes, thresholds)
    legend_beside(panels[0, 0])
    panels[-1, 0].set(xlabel="p(invisible) of each frame", xlim=(0, 1))
    return figure


def confusion(counts: pd.DataFrame, choice: str) -> Figure:
    """Frames by label and warning: row "all" of `thresholds.confusion_counts`."""
    values = counts.loc["all", ["tn", "fp", "fn", "tp"]].to_numpy().astype(int).reshape(2, 2)
    columns = f"at the {choice} (n = {values.sum()} frames)"
    return matrix(values, ["visible", "invisible"], "label", columns, form="d")


def weigh(table: pd.DataFrame, thresholds: dict[str, float]) -> Figure:
    """Rates (upper panel) and false alarms (lower) by threshold, from `thresholds.weigh`."""
    figure, (above, below) = plt.subplots(2, 1, figsize=(8, 5.4), sharex=True)
    for name, style in (("sensitivity", "-"), ("specificity", "-"), ("ppv", "--"), ("npv", "--")):
        colour = INVISIBLE if name in ("sensitivity", "ppv") else VISIBLE
        label = name.upper() if len(name) == 3 else name
        above.plot(table["threshold"], table[name], color=colour, linestyle=style, label=label)
    for kind, colour in (("raw", OTHERS), ("live", "black")):
        counts = table[f"false alarms a minute, {kind}"]
        label = "bare threshold" if kind == "raw" else "alarm of live"
        below.plot(table["threshold"], counts, color=colour, label=label)
    for axes in (above, below):
        _lines(axes, thresholds if axes is above else dict.fromkeys(thresholds, np.nan))
        legend_beside(axes)
    above.set(ylabel="share", ylim=(0, 1.02))
    below.set(ylabel="false alarms a minute", xlabel="threshold of p(invisible)", ylim=(0, None))
    return figure


def decision_curve(table: pd.DataFrame) -> Figure:
    """Events found against false alarms a minute, and against time under them (`thresholds.weigh`).

    Each point is a threshold.
    """
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True)
    costs = {"false alarms a minute": "false alarms a minute of clipper time"}
    costs["share of time under a false alarm"] = "share of time under a false alarm"
    for axes, (cost, xlabel) in zip(panels, costs.items(), strict=True):
        for kind, colour in (("raw", OTHERS), ("live", INVISIBLE)):
            label = "bare threshold" if kind == "raw" else "alarm of live"
            x, y = table[f"{cost}, {kind}"], table[f"event sensitivity, {kind}"]
            axes.plot(x, y, ".-", color=colour, linewidth=1, label=label)
        axes.set(xlabel=xlabel, ylim=(-0.02, 1.02), xlim=(0, None))
    panels[0].set_ylabel("share of events found")
    legend_beside(panels[1])
    return figure


def reliability(bins: dict[str, pd.DataFrame]) -> Figure:
    """Share of invisible frames by score, with intervals over videos.

    On the diagonal, the score is the share of invisible frames.
    """
    figure, axes = plt.subplots(figsize=(7, 4.2))
    axes.plot([0, 1], [0, 1], color="black", linewidth=0.8)
    for (name, table), colour in zip(bins.items(), (OTHERS, INVISIBLE), strict=False):
        known = table["low"].notna()
        limits = table.loc[known, ["low", "high"]].to_numpy().T
        axes.vlines(table.loc[known, "score"], *limits, color=colour)
        axes.plot(table["score"], table["invisible"], marker="o", color=colour, label=name)
    frames = next(iter(bins.values()))["frames"].sum()
    axes.set(xlabel=f"mean p(invisible) of the bin (n = {frames} frames)")
    axes.set(ylabel="share of invisible frames", xlim=(0, 1), ylim=(0, 1), aspect="equal")
    legend_beside(axes)
    return figure


def _lines(axes: Axes, thresholds: dict[str, float]) -> None:
    for (name, value), style in zip(thresholds.items(), STYLES, strict=False):
        if np.isfinite(value):
            label = f"{name}: {value:.2f}"
            axes.axvline(value, color="black", linestyle=style, linewidth=1.2, label=label)
