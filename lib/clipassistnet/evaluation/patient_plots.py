"""Figures of patients: what differs between them."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from clipassistnet.evaluation.plots import INVISIBLE


def invisible_shares(shares: pd.DataFrame) -> Figure:
    """Share of invisible frames of each patient, sorted: a dot each, its area the frames.

    `shares`: frames, invisible, a row a patient. The names are left out: nothing can remove a name
    from the picture's pixels.
    """
    ordered = shares.sort_values("invisible").reset_index(drop=True)
    figure, axes = plt.subplots(figsize=(7, 3.2))
    area = 20 + 180 * ordered["frames"] / ordered["frames"].max()
    axes.scatter(ordered.index + 1, ordered["invisible"], s=area, color=INVISIBLE, alpha=0.7)
    mean = (ordered["invisible"] * ordered["frames"]).sum() / ordered["frames"].sum()
    axes.axhline(mean, color="black", linestyle="--", label=f"all frames: {mean:.2f}")
    axes.set(ylim=(-0.05, 1.05), xlabel=f"patients (n = {len(ordered)}), sorted")
    axes.set_ylabel("share of invisible frames")
    axes.legend(loc="lower right")
    sns.despine(figure)
    return figure
