"""Figures of trainings and of their comparison: learning rates, curves, losses, differences."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from clipassistnet.evaluation import published
from clipassistnet.evaluation.plots.style import (
    INVISIBLE,
    LOSS_NAMES,
    METRIC_NAMES,
    OTHERS,
    PAPER,
    VISIBLE,
    legend_beside,
)


def finder(curve: pd.DataFrame, pick: float, paper: float | None) -> Figure:
    """The learning-rate finder's curve with its pick and the paper's value.

    The axis of the loss ends a little above the highest loss before the lowest: where the loss
    diverges, it would hide the rest of the curve.
    """
    figure, axes = plt.subplots(figsize=(8, 3.2))
    sns.lineplot(curve, x="learning_rate", y="loss", ax=axes)
    axes.axvline(pick, color=INVISIBLE, label=f"picked {pick:.2e}")
    if paper:
        axes.axvline(paper, **PAPER, label=f"paper {paper:.2e}\n(ResNet-50)")
    lowest = int(curve["loss"].argmin())
    bottom, top = curve["loss"].iloc[lowest], curve["loss"].iloc[: lowest + 1].max()
    if top > bottom:
        axes.set_ylim(bottom - 0.1 * (top - bottom), top + 0.3 * (top - bottom))
    axes.set(xscale="log", xlabel="learning rate", ylabel="training loss (smoothed)")
    legend_beside(axes)
    return figure


def learning_curves(histories: pd.DataFrame) -> Figure:
    """Validation AUROC of every training, a panel for each loss and recipe, a line for each fold.

    `histories`: loss, recipe, held_out, fold, epoch, validation_auroc; for heads on features, which
    have no epochs, penalty and kept as well. A dot marks the checkpoint that is kept.
    """
    panels = list(histories.groupby(["recipe", "loss"], sort=False))
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    size = (max(3 * columns, 6), 2.8 * rows)
    figure, grid = plt.subplots(rows, columns, figsize=size, squeeze=False, sharey=True)
    for axes in grid.flat[len(panels) :]:
        axes.axis("off")
    for axes, ((recipe, loss), own) in zip(grid.flat, panels, strict=False):
        x = "penalty" if "penalty" in own and own["penalty"].notna().any() else "epoch"
        for _, history in own.groupby(["held_out", "fold"]):
            axes.plot(history[x], history["validation_auroc"], color=OTHERS, linewidth=1)
            chosen_by = "kept" if x == "penalty" else "validation_auroc"
            best = history.loc[history[chosen_by].idxmax()]
            axes.plot(best[x], best["validation_auroc"], "o", color=INVISIBLE, markersize=5)
        count = own.groupby(["held_out", "fold"]).ngroups
        axes.set_title(f"{recipe}, {LOSS_NAMES.get(loss, loss)} (n = {count})")
        axes.set(xlabel=x, xscale="log" if x == "penalty" else "linear")
        if x == "penalty":
            axes.invert_xaxis()  # from strong to weak, as heads are fitted
    for axes in grid[:, 0]:
        axes.set_ylabel("validation AUROC")
    return figure


def training_patients(curve: pd.DataFrame) -> Figure:
    """AUROC by the number of training patients: a dot for each draw, a line through the means.

    `curve`: patients, auroc, a row a draw (`patient_curve.curve`).
    """
    figure, axes = plt.subplots(figsize=(7, 3.4))
    axes.plot(curve["patients"], curve["auroc"], "o", color=OTHERS, label="one draw of patients")
    means = curve.groupby("patients")["auroc"].mean()
    axes.plot(means.index, means, color=VISIBLE, marker="o", linewidth=2.5, label="mean")
    axes.axhline(0.5, color="black", linewidth=0.8)
    counts = means.index.to_numpy()
    apart = counts[[*(counts[1:] > 1.5 * counts[:-1]), True]]  # numbers that do not overlap
    axes.set(xscale="log", xticks=apart, xticklabels=apart)
    axes.minorticks_off()
    axes.set(xlabel=f"training patients (of {means.index[-1]})", ylabel="AUROC on judged patients")
    legend_beside(axes)
    return figure


def by_loss(table: pd.DataFrame, metric: str) -> Figure:
    """A metric's value of each fold for each loss; grey lines join the values of one fold.

    The mean over folds stands out. The paper's value is that of BCE on a single split.

    Args:
        table: from `paper_tables.fold_metrics`.
        metric: "auroc" or "specificity_at_95".
    """
    table = table[table["metric"] == metric]
    names = table["loss"].map(LOSS_NAMES).str.replace("-", "-\n")
    shown = table.assign(loss=names, fold=table["fold"].astype(str))
    figure, axes = plt.subplots(figsize=(8, 3.4))
    for _, rows in shown.groupby("fold"):
        axes.plot(rows["loss"], rows["value"], color=OTHERS, marker=".", linewidth=1)
    means = shown.groupby("loss", sort=False)["value"].mean()
    axes.plot(means.index, means, color=VISIBLE, marker="o", linewidth=2.5, label="mean over folds")
    axes.plot([], [], color=OTHERS, marker=".", label=f"one fold (n = {shown['fold'].nunique()})")
    paper = published.PAPER[f"single split {METRIC_NAMES[metric]}"]
    axes.axhline(paper, **PAPER, label="paper's single\nsplit, BCE")
    axes.set(xlabel="", ylabel=METRIC_NAMES[metric])
    axes.margins(x=0.15)
    legend_beside(axes)
    return figure


def differences(comparison: pd.DataFrame, column: str, reference: str) -> Figure:
    """Differences of the AUROC with their intervals, from `paper_tables.compare`.

    An interval that excludes zero stands out. A row without an interval has a point alone.

    Args:
        comparison: metric, difference, low, high and the column `column`.
        column: of the names.
        reference: whose AUROC was subtracted, e.g. "the ensemble's".
    """
    table = comparison[comparison["metric"] == "auroc"]
    figure, axes = plt.subplots(figsize=(7, 0.5 * len(table) + 1.2))
    for place, (_, row) in enumerate(table.iterrows()):
        clear = row["low"] > 0 or row["high"] < 0
        colour = INVISIBLE if clear else VISIBLE
        axes.hlines(place, row["low"], row["high"], color=colour, linewidth=3 if clear else 1.5)
        axes.scatter(row["difference"], place, color=colour, s=45, zorder=3)
    axes.axvline(0, color="black", linestyle="--")
    names = [LOSS_NAMES.get(name, name) for name in table[column]]
    axes.set(yticks=range(len(table)), yticklabels=names)
    axes.set(xlabel=f"AUROC minus {reference} (95 % interval over patients)")
    axes.margins(y=0.3)
    axes.locator_params(axis="x", nbins=6)  # with more, small differences run into each other
    return figure
