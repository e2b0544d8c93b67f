"""A table of intervals, bars and a small matrix."""

from collections.abc import Sequence
from typing import cast

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.container import BarContainer
from matplotlib.figure import Figure

from clipassistnet.evaluation.plots.style import PAPER, VISIBLE, legend_beside


def show(table: pd.DataFrame) -> None:
    """Display a table of intervals; a sentence below it says if some leave resamples out.

    Columns without any value are not shown, and a missing value is an empty cell.
    """
    from IPython.display import display

    shown = table.drop(columns="left_out", errors="ignore")
    values = shown.replace(["", "-"], np.nan)
    shown = shown[values.columns[values.notna().any()]].astype(object)
    display(shown.where(shown.notna(), ""))
    if "left_out" not in table:
        return
    share = table.loc[table["low"].notna(), "left_out"].max()
    if share > 0:
        reason = "An interval leaves out resamples for which its figure is undefined"
        print(f"{reason}: {share:.1%} of them at most.")


def bars(
    values: pd.Series, xlabel: str, mean: float | None = None, paper: float | None = None
) -> Figure:
    """Horizontal bars, one per entry of a Series; lines at their mean and at the paper's value."""
    figure, axes = plt.subplots(figsize=(6.5, 0.45 * len(values) + 1.2))
    sns.barplot(x=values.to_numpy(), y=[str(name) for name in values.index], ax=axes, color=VISIBLE)
    bars = cast(BarContainer, axes.containers[0])
    wide = values.to_numpy() > 0.15 * values.max()  # enough for its value inside
    texts = np.array([f"{value:.3g}" for value in values], object)
    inside = {"label_type": "center", "color": "white", "fontweight": "bold"}
    axes.bar_label(bars, np.where(wide, texts, ""), **inside)
    axes.bar_label(bars, np.where(wide, "", texts), padding=3)
    if mean is not None:
        axes.axvline(mean, color="black", linestyle="--", label=f"mean {mean:.3g}")
    if paper is not None:
        axes.axvline(paper, **PAPER, label=f"paper {paper:.3g}")
    if mean is not None or paper is not None:
        legend_beside(axes)
    axes.set(xlabel=xlabel, ylabel="")
    return figure


def matrix(
    values: np.ndarray, names: Sequence[str], rows: str, columns: str, form: str = ".3f"
) -> Figure:
    """A small square matrix of shares, or with form "d" of counts; colours are shares of a row."""
    figure, axes = plt.subplots(figsize=(4, 3.2))
    values = np.asarray(values)
    shares = values / np.maximum(values.sum(axis=1, keepdims=True), 1e-12)
    sns.heatmap(
        shares, annot=values, fmt=form, vmin=0, vmax=1, cmap="Blues", cbar=False, square=True,
        xticklabels=names, yticklabels=names, ax=axes,
    )  # fmt: skip
    axes.set(xlabel=columns, ylabel=rows)
    return figure
