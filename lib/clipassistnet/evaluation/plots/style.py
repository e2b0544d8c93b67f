"""The style of every figure: colours that colour-blind readers can distinguish, 10 pt and more."""

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.axes import Axes

VISIBLE, INVISIBLE, ABSENT = (sns.color_palette("colorblind")[i] for i in (0, 1, 7))
LABELS = {"visible": VISIBLE, "invisible": INVISIBLE, "absent": ABSENT}
OTHERS = "0.65"  # grey, for what stands behind the one thing that a figure is about
PAPER = {"color": "black", "linestyle": (0, (1, 1)), "linewidth": 1.5}  # the paper's values
LOSS_NAMES = {
    "bce": "BCE",
    "class_weighted": "class-weighted",
    "video_weighted": "video-weighted",
    "forward_corrected": "noise-corrected",
}
METRIC_NAMES = {"auroc": "AUROC", "specificity_at_95": "specificity at 95 % sensitivity"}


def theme() -> None:
    """One style for every figure."""
    sns.set_theme(context="notebook", style="whitegrid", palette="colorblind")
    sizes = {f"{part}.labelsize": 11 for part in ("axes", "xtick", "ytick")}
    sizes |= {"axes.titlesize": 11, "legend.fontsize": 10, "legend.title_fontsize": 10}
    plt.rcParams |= {"figure.dpi": 80, "figure.constrained_layout.use": True, **sizes}


def legend_beside(axes: Axes, title: str | None = None) -> None:
    """The legend to the right of the axes, where it hides nothing."""
    axes.legend(title=title, bbox_to_anchor=(1, 1), loc="upper left")
