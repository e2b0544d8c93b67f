"""Figures of the notebooks (seaborn): each function draws one and returns it."""

from collections.abc import Iterable, Sequence
from typing import cast

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from sklearn.metrics import RocCurveDisplay

VISIBLE, INVISIBLE = sns.color_palette("colorblind")[0], sns.color_palette("colorblind")[1]
LOSS_NAMES = {
    "bce": "BCE",
    "class_weighted": "class-weighted",
    "video_weighted": "video-weighted",
    "forward_corrected": "noise-corrected",
}


def theme() -> None:
    """One style for every figure, with colours that colour-blind readers can distinguish."""
    sns.set_theme(context="notebook", style="whitegrid", palette="colorblind")
    plt.rcParams |= {"figure.dpi": 80, "figure.constrained_layout.use": True}


def show(table: pd.DataFrame) -> None:
    """Display a table of intervals; a sentence below it says if some leave resamples out."""
    from IPython.display import display

    display(table.drop(columns="left_out"))
    share = table.loc[table["low"].notna(), "left_out"].max()
    if share > 0:
        reason = "An interval leaves out resamples for which its figure is undefined"
        print(f"{reason}: {share:.1%} of them at most.")


def bars(values: pd.Series, xlabel: str, reference: tuple[float, str] | None = None) -> Figure:
    """Horizontal bars, one per entry of a Series; `reference` (value, name) draws a line."""
    figure, axes = plt.subplots(figsize=(6.5, 0.45 * len(values) + 1.2))
    if values.empty:
        axes.text(0.5, 0.5, "nothing to show", ha="center", va="center")
        axes.set(xlabel=xlabel, xticks=[], yticks=[])
        return figure
    sns.barplot(x=values.to_numpy(), y=[str(name) for name in values.index], ax=axes, color=VISIBLE)
    axes.bar_label(cast(BarContainer, axes.containers[0]), fmt="%.3g", padding=3)
    if reference:
        axes.axvline(reference[0], color="black", linestyle="--", label=reference[1])
        axes.legend(bbox_to_anchor=(1, 1), loc="upper left")
    axes.set(xlabel=xlabel, ylabel="")
    axes.margins(x=0.16)
    return figure


def matrix(values: np.ndarray, names: Sequence[str], rows: str, columns: str) -> Figure:
    """A small square matrix of shares, e.g. the label confusion matrix T (rows sum to 1)."""
    figure, axes = plt.subplots(figsize=(4, 3.2))
    sns.heatmap(
        values, annot=True, fmt=".3f", vmin=0, vmax=1, cmap="Blues", cbar=False, square=True,
        xticklabels=names, yticklabels=names, ax=axes,
    )  # fmt: skip
    axes.set(xlabel=columns, ylabel=rows)
    return figure


def frames_per_video(folds: pd.DataFrame) -> Figure:
    """Frames of each video, longest first, coloured by its subset.

    The videos' names are left out: nothing can remove a name from the picture's pixels.
    """
    ordered = folds.sort_values(["frames", "video"], ascending=[False, True])
    figure, axes = plt.subplots(figsize=(9, 3.2))
    order = sorted(folds["subset"].unique())
    sns.barplot(ordered, x="video", y="frames", hue="subset", hue_order=order, dodge=False, ax=axes)
    axes.tick_params(axis="x", labelbottom=False)
    axes.set(xlabel=f"video ({len(ordered)})", ylabel="annotated frames")
    sns.move_legend(axes, "upper right", ncols=3, title="subset")
    return figure


def subset_sizes(partitions: dict[str, pd.Series], frames: pd.Series) -> Figure:
    """Frames of each subset under several partitions (video -> subset); the bars should be even."""
    table = pd.concat(
        [
            frames.groupby(subset).sum().rename_axis("subset").reset_index(name="frames")
            .assign(partition=name)
            for name, subset in partitions.items()
        ]
    )  # fmt: skip
    figure, axes = plt.subplots(figsize=(7, 3))
    sns.barplot(table, x="partition", y="frames", hue="subset", palette="crest", ax=axes)
    axes.set(xlabel="", ylabel="annotated frames")
    sns.move_legend(axes, "upper left", bbox_to_anchor=(1, 1), title="subset")
    return figure


def frame_grid(images: Iterable[np.ndarray], titles: Iterable[str], columns: int = 5) -> Figure:
    """Pictures in a grid, (H, W, 3) uint8 RGB each, each with its title."""
    pairs = list(zip(images, titles, strict=True))
    figure, grid = _picture_grid(-(-len(pairs) // columns), columns)
    for axes, (image, title) in zip(grid.flat, pairs, strict=False):
        axes.imshow(image)
        axes.set_title(title, fontsize=8)
    return figure


def finder(curve: pd.DataFrame, pick: float, paper: float | None) -> Figure:
    """The learning-rate finder's curve with its pick and the paper's value.

    The axis of the loss ends a little above the highest loss before the lowest: where the loss
    diverges, it would hide the rest of the curve.
    """
    figure, axes = plt.subplots(figsize=(6.5, 3.2))
    sns.lineplot(curve, x="learning_rate", y="loss", ax=axes)
    axes.axvline(pick, color=INVISIBLE, label=f"picked {pick:.2e}")
    if paper:
        axes.axvline(paper, color="black", linestyle="--", label=f"paper {paper:.2e} (ResNet-50)")
    lowest = int(curve["loss"].argmin())
    bottom, top = curve["loss"].iloc[lowest], curve["loss"].iloc[: lowest + 1].max()
    if top > bottom:
        axes.set_ylim(bottom - 0.1 * (top - bottom), top + 0.3 * (top - bottom))
    axes.set(xscale="log", xlabel="learning rate", ylabel="training loss (smoothed)")
    axes.legend()
    return figure


def by_loss(table: pd.DataFrame, ylabel: str) -> Figure:
    """A metric's value of each fold for each loss; lines join the values of one fold (paired)."""
    shown = table.assign(loss=table["loss"].map(LOSS_NAMES), fold=table["fold"].astype(str))
    figure, axes = plt.subplots(figsize=(7, 3.4))
    sns.lineplot(shown, x="loss", y="value", hue="fold", marker="o", alpha=0.7, ax=axes)
    means = shown.groupby("loss", sort=False)["value"].mean()
    axes.scatter(means.index, means, marker="_", s=900, color="black", zorder=3, label="mean")
    axes.set(xlabel="", ylabel=ylabel)
    axes.legend(title="fold", bbox_to_anchor=(1, 1), loc="upper left")
    return figure


def differences(table: pd.DataFrame, xlabel: str) -> Figure:
    """Paired differences with their intervals: columns difference, low, high; index: names."""
    figure, axes = plt.subplots(figsize=(6.5, 0.5 * len(table) + 1.2))
    errors = [table["difference"] - table["low"], table["high"] - table["difference"]]
    axes.errorbar(table["difference"], range(len(table)), xerr=errors, fmt="o", capsize=4)
    axes.axvline(0, color="black", linestyle="--")
    axes.set(yticks=range(len(table)), yticklabels=table.index, xlabel=xlabel)
    axes.margins(y=0.3)
    if table.empty:
        axes.text(0.5, 0.5, "nothing to compare", ha="center", transform=axes.transAxes)
    return figure


def roc(scores: dict[str, tuple[np.ndarray, np.ndarray]], bold: str) -> Figure:
    """ROC curves {name: (target, score)}; the one named `bold` stands out."""
    figure, axes = plt.subplots(figsize=(5, 4.6))
    for name, (target, score) in scores.items():
        style = {"linewidth": 2.5, "color": INVISIBLE} if name == bold else {"alpha": 0.5}
        RocCurveDisplay.from_predictions(target, score, name=name, curve_kwargs=style, ax=axes)
    axes.axhline(0.95, color="black", linestyle=":", linewidth=1)
    axes.set(xlabel="1 - specificity", ylabel="sensitivity (invisible tips found)")
    axes.legend(loc="lower right", fontsize=8)
    return figure


def per_video(table: pd.DataFrame, threshold: float) -> Figure:
    """Sensitivity and specificity of each test video at one threshold (the paper's Fig. 3)."""
    measures = ["sensitivity", "specificity"]
    shown = table.melt(["video", "frames"], measures, "measure", "value")
    figure, axes = plt.subplots(figsize=(6, 3.6))
    values = [table[name].dropna() for name in measures]
    axes.boxplot(values, positions=range(2), widths=0.5, showfliers=False, manage_ticks=False)
    sns.stripplot(
        shown, x="measure", y="value", hue="measure", size=7, alpha=0.7, legend=False, ax=axes
    )
    axes.set(xlabel="", ylabel="", ylim=(-0.05, 1.05))
    axes.set_title(f"{table['video'].nunique()} test videos at threshold {threshold:.3f}", size=11)
    return figure


def score_histogram(predictions: pd.DataFrame, thresholds: dict[str, float]) -> Figure:
    """Scores by label (visible, invisible, absent), with a line at each threshold."""
    figure, axes = plt.subplots(figsize=(7, 3.2))
    sns.histplot(
        predictions, x="score", hue="label", bins=np.linspace(0, 1, 31), stat="density",
        common_norm=False, element="step", ax=axes,
    )  # fmt: skip
    for (name, value), style in zip(thresholds.items(), ("--", ":", "-."), strict=False):
        axes.axvline(value, color="black", linestyle=style)
        axes.annotate(name, (value, 0.97), xycoords=("data", "axes fraction"), rotation=90,
                      va="top", ha="right", fontsize=8)  # fmt: skip
    axes.set(xlabel="p(invisible)")
    return figure


def weigh(table: pd.DataFrame, thresholds: dict[str, float]) -> Figure:
    """Rates (upper panel) and false alarms (lower) by threshold, from `thresholds.weigh`."""
    figure, (above, below) = plt.subplots(2, 1, figsize=(7, 5.4), sharex=True)
    rates = table.melt("threshold", ["sensitivity", "specificity", "ppv", "npv"], "measure")
    sns.lineplot(rates, x="threshold", y="value", hue="measure", ax=above)
    alarms = {name: name.partition(", ")[2] for name in table if name.startswith("false alarms")}
    counts = table.rename(columns=alarms).melt("threshold", [*alarms.values()], "alarm")
    sns.lineplot(counts, x="threshold", y="value", style="alarm", color="black", ax=below)
    for axes in (above, below):
        for (name, value), style in zip(thresholds.items(), ("--", ":", "-."), strict=False):
            label = name if axes is above else None
            axes.axvline(value, color="grey", linestyle=style, label=label)
        axes.legend(bbox_to_anchor=(1, 1), loc="upper left")
    above.set(ylabel="share", ylim=(0, 1.02))
    below.set(ylabel="false alarms a minute", xlabel="threshold of p(invisible)", ylim=(0, None))
    return figure


def reliability(bins: dict[str, pd.DataFrame]) -> Figure:
    """Share of invisible frames by score, with intervals over videos.

    On the diagonal, the score is the share of invisible frames.
    """
    figure, axes = plt.subplots(figsize=(5, 4.4))
    axes.plot([0, 1], [0, 1], color="black", linestyle=":")
    for (name, table), colour in zip(bins.items(), sns.color_palette(), strict=False):
        known = table["low"].notna()
        limits = table.loc[known, ["low", "high"]].to_numpy().T
        axes.vlines(table.loc[known, "score"], *limits, color=colour, alpha=0.5)
        axes.plot(table["score"], table["invisible"], marker="o", color=colour, label=name)
    axes.set(xlabel="mean p(invisible) of the bin", ylabel="share of invisible frames")
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.legend(loc="upper left", fontsize=9)
    return figure


def forest(table: pd.DataFrame, xlabel: str) -> Figure:
    """AUROC and interval of each subgroup (`subgroups.subgroups`); a line at that of all frames."""
    shown = table[table["auroc"].notna()].iloc[::-1].reset_index(drop=True)
    figure, axes = plt.subplots(figsize=(7.5, 0.3 * len(shown) + 1.2))
    colours = dict(zip(table["grouping"].unique(), sns.color_palette(), strict=False))
    for place, row in shown.iterrows():
        colour = colours[row["grouping"]]
        axes.hlines(place, row["low"], row["high"], color=colour)  # no line where they are nan
        axes.scatter(row["auroc"], place, color=colour, s=30, zorder=3)
    axes.axvline(table["auroc"].iloc[0], color="black", linestyle=":")
    names = (shown["grouping"] + ": " + shown["group"].astype(str)).replace(
        "all: all", "all frames"
    )
    names = names + " (n = " + shown["frames"].astype(str) + ")"
    axes.set(yticks=shown.index, yticklabels=names)
    axes.set(xlabel=xlabel, ylim=(-0.7, len(shown) - 0.3))
    return figure


def saliency(
    images: Sequence[np.ndarray], maps: Sequence[np.ndarray], titles: list[str], columns: int = 6
) -> Figure:
    """Frames (H, W, 3) uint8, and below each its saliency map (H, W), scaled on its own."""
    figure, grid = _picture_grid(2 * -(-len(images) // columns), columns)
    for i, (image, map_, title) in enumerate(zip(images, maps, titles, strict=True)):
        above, below = grid[2 * (i // columns) : 2 * (i // columns) + 2, i % columns]
        above.imshow(image)
        above.set_title(title, fontsize=8)
        # Nearest: each cell of a map is one square, and the picture takes half the bytes.
        shown = {"interpolation": "nearest"}
        below.imshow(image.mean(axis=2), cmap="gray", alpha=0.5, **shown)
        limit = np.quantile(np.abs(map_), 0.995) or 1
        strength = np.clip(np.abs(map_) / limit, 0, 1)
        below.imshow(strength, "inferno", alpha=np.sqrt(strength), vmin=0, vmax=1, **shown)
    return figure


def _picture_grid(rows: int, columns: int) -> tuple[Figure, np.ndarray]:
    figure, grid = plt.subplots(
        rows, columns, figsize=(1.6 * columns, 1.8 * rows), squeeze=False, dpi=60
    )
    for axes in grid.flat:
        axes.axis("off")
    return figure, grid
