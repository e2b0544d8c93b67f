"""Figures of videos and patients: what differs between them."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from clipassistnet.evaluation import published
from clipassistnet.evaluation.by_patient import MOST_PATIENTS
from clipassistnet.evaluation.plots.style import INVISIBLE, OTHERS, PAPER, VISIBLE, legend_beside

TEST = "test"


def frames_per_video(folds: pd.DataFrame) -> Figure:
    """Frames of each video, longest first, coloured by its subset.

    The videos' names are left out: nothing can remove a name from the picture's pixels.
    """
    ordered = folds.sort_values(["frames", "video"], ascending=[False, True])
    figure, axes = plt.subplots(figsize=(9, 3.2))
    subsets = sorted(folds["subset"].unique())
    palette = dict(zip(subsets, sns.color_palette("viridis", len(subsets)), strict=True))
    palette |= {TEST: INVISIBLE} if TEST in palette else {}
    for subset in subsets:
        chosen = (ordered["subset"] == subset).to_numpy()
        places = np.flatnonzero(chosen) + 1
        label = "test" if subset == TEST else f"fold {subset}"
        axes.bar(places, ordered["frames"][chosen], width=0.8, color=palette[subset], label=label)
    axes.set(xlabel=f"videos (n = {len(ordered)}), longest first", ylabel="annotated frames")
    axes.grid(visible=False, axis="x")
    legend_beside(axes)
    return figure


def invisible_shares(shares: pd.DataFrame) -> Figure:
    """Share of invisible frames of each patient, sorted: a dot each, its area the frames.

    `shares`: frames, invisible, a row a patient. The names are left out.
    """
    ordered = shares.sort_values("invisible").reset_index(drop=True)
    figure, axes = plt.subplots(figsize=(8, 3.2))
    area = 20 + 180 * ordered["frames"] / ordered["frames"].max()
    axes.scatter(ordered.index + 1, ordered["invisible"], s=area, color=INVISIBLE, alpha=0.7)
    mean = np.average(ordered["invisible"], weights=ordered["frames"])
    axes.axhline(mean, color="black", linestyle="--", label=f"all frames: {mean:.2f}")
    axes.set(ylim=(-0.05, 1.05), xlabel=f"patients (n = {len(ordered)}), sorted")
    axes.set_ylabel("share of invisible frames")
    legend_beside(axes)
    return figure


def subset_sizes(greedy: pd.Series, frames: pd.Series, random: np.ndarray) -> Figure:
    """Frames of each fold of the greedy partition, beside how uneven random partitions are.

    Args:
        greedy: video -> fold.
        frames: video -> frames.
        random: largest minus smallest fold of each random partition, in frames.
    """
    sizes = frames.groupby(greedy).sum()
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2))
    left.bar(sizes.index.astype(str), sizes, color=VISIBLE)
    left.set(xlabel="fold of the greedy partition", ylabel="annotated frames")
    left.grid(visible=False, axis="x")
    right.hist(random, bins=20, color=OTHERS, label=f"{len(random)} random partitions")
    spread = sizes.max() - sizes.min()
    right.axvline(spread, color=VISIBLE, linewidth=3, label=f"greedy: {spread:.0f}")
    right.set(xlabel="largest minus smallest fold (frames)", ylabel="random partitions")
    right.set_xlim(left=min(0, spread) - 0.03 * max(random.max(), 1))
    right.legend()
    return figure


def per_video(table: pd.DataFrame, threshold: float) -> Figure:
    """Sensitivity and specificity of each test video at one threshold (the paper's Fig. 3).

    Outliers of the box plot carry the number of their row in the table of videos, from 1: nothing
    can remove a name from the picture's pixels.
    """
    figure, axes = plt.subplots(figsize=(7, 3.8))
    rng = np.random.default_rng(0)
    for place, (name, colour) in enumerate(
        {"sensitivity": INVISIBLE, "specificity": VISIBLE}.items()
    ):
        values = table[name].dropna()
        axes.boxplot(values, positions=[place], widths=0.5, showfliers=False, manage_ticks=False,
                     medianprops={"color": "black"})  # fmt: skip
        x = place + rng.uniform(-0.1, 0.1, len(values))
        axes.scatter(x, values, s=45, color=colour, alpha=0.7, zorder=3)
        for row, shift in zip(values.index[_outlying(values)], x[_outlying(values)], strict=True):
            axes.annotate(f"no. {row + 1}", (shift + 0.04, values[row]), va="center", size=10)
        label = "paper's median" if place == 0 else None
        axes.hlines(published.VIDEO_MEDIANS[name], place - 0.35, place + 0.35, **PAPER, label=label)
    count = table["video"].nunique()
    axes.set(xticks=[0, 1], xticklabels=["sensitivity", "specificity"], ylim=(-0.05, 1.05))
    axes.set_ylabel(f"of each test video (n = {count})")
    axes.set_title(f"at threshold {threshold:.3f}")
    legend_beside(axes)
    return figure


def _outlying(values: pd.Series) -> np.ndarray:
    """Beyond 1.5 times the box's height, as in a box plot: bool (N,)."""
    low, high = np.quantile(values, [0.25, 0.75])
    return ((values < low - 1.5 * (high - low)) | (values > high + 1.5 * (high - low))).to_numpy()


def forest(table: pd.DataFrame, xlabel: str) -> Figure:
    """AUROC and interval of each subgroup (`subgroups.subgroups`); a line at that of all frames.

    A grouping with one group alone is left out: its group is all frames. So are patients, if there
    are more than MOST_PATIENTS; the table has them.
    """
    groups = table.groupby("grouping")["group"].transform("size")
    many = (table["grouping"] == "patient") & (groups > MOST_PATIENTS)
    shown = table[table["auroc"].notna() & ((groups > 1) | (table["grouping"] == "all")) & ~many]
    shown = shown.iloc[::-1].reset_index(drop=True)
    figure, axes = plt.subplots(figsize=(8, 0.36 * len(shown) + 1.2))
    names = shown["grouping"].unique()[::-1]
    colours = dict(zip(names, sns.color_palette("colorblind", len(names)), strict=True))
    for place, row in shown.iterrows():
        colour = colours[row["grouping"]]
        axes.hlines(place, row["low"], row["high"], color=colour)  # no line where they are nan
        axes.scatter(row["auroc"], place, color=colour, s=40, zorder=3)
    axes.axvline(table["auroc"].iloc[0], color="black", linestyle=":")
    names = (shown["grouping"] + ": " + shown["group"].astype(str)).replace(
        "all: all", "all frames"
    )
    names = names + " (n = " + shown["frames"].astype(str) + ")"
    axes.set(yticks=shown.index, yticklabels=names)
    axes.set(xlabel=xlabel, ylim=(-0.7, len(shown) - 0.3))
    return figure


def embedding(table: pd.DataFrame) -> Figure:
    """A map of frames, coloured by label and by patient.

    `table`: x, y, label, patient, a row a frame (`embedding.embed`). The patients' names are left
    out, as in `frames_per_video`.
    """
    figure, panels = plt.subplots(1, 2, figsize=(10, 4.4), sharex=True, sharey=True)
    for label, own in table.groupby("label"):
        colour = INVISIBLE if label == "invisible" else VISIBLE
        panels[0].plot(own["x"], own["y"], ".", color=colour, label=f"tip {label}")
    patients = sorted(table["patient"].unique())
    colours = sns.color_palette("husl", len(patients))
    for patient, colour in zip(patients, colours, strict=True):
        own = table[table["patient"] == patient]
        panels[1].plot(own["x"], own["y"], ".", color=colour)
    panels[0].legend(loc="upper center", bbox_to_anchor=(0.5, -0.02), ncols=2, frameon=False)
    titles = f"by label (n = {len(table)} frames)", f"by patient (n = {len(patients)})"
    for axes, title in zip(panels, titles, strict=True):
        axes.set(title=title, xticks=[], yticks=[])
    return figure
