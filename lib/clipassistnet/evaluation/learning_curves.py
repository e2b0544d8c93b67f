"""Figure and findings of trainings: learning curves, and the learning-rate finder's curve.

They are not in `plots`, so that a change there retrains no network.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

NAMES = {
    "train_loss": "training loss",
    "validation_loss": "validation loss",
    "validation_auroc": "validation AUROC",
    "learning_rate": "learning rate",
}
LINE, KEPT = "#0072b2", "#de8f05"  # the blue and orange of `plots`


def learning_curves(history: pd.DataFrame) -> Figure:
    """Losses and AUROC by epoch; of a head on features, by the penalty on its weights.

    A dot marks what is kept.
    """
    x = "penalty" if "penalty" in history else "epoch"
    shown = [column for column in NAMES if column in history]
    axes = history.plot(
        x=x,
        y=shown,
        subplots=True,
        layout=(1, -1),
        figsize=(3 * len(shown), 2.6),
        color=LINE,
        legend=False,
        grid=True,
    )
    best = int((history["kept"] if x == "penalty" else history["validation_auroc"]).argmax())
    for axis, column in zip(axes.flat, shown, strict=True):
        axis.plot(*history.loc[history.index[best], [x, column]], "o", color=KEPT)
        axis.set_title(NAMES[column])
        if x == "penalty":
            axis.set_xscale("log")
            axis.invert_xaxis()  # from strong to weak, as heads are fitted
    figure: Figure = axes.flat[0].figure
    figure.tight_layout()
    return figure


def training_finding(history: pd.DataFrame, patience: int) -> str:
    """Which epoch was best, and whether the training was too short; of a head, its penalty.

    Args:
        history: of `training.fit`: a row an epoch, or a row a penalty with the column `penalty`.
        patience: epochs without a better AUROC after which training stops early.
    """
    count, aurocs = len(history), history["validation_auroc"].to_numpy()
    best = int(aurocs.argmax())
    if "penalty" in history:
        kept = int(history["kept"].to_numpy().argmax())
        penalty = history["penalty"].iloc[kept]
        return (
            f"The head is kept with the penalty {penalty:.2g}, which no frame of this study chose. "
            f"Its validation AUROC is {aurocs[kept]:.3f}. With the "
            f"{count} penalties shown it lies between {aurocs.min():.3f} and {aurocs.max():.3f}."
        )
    if history["train_loss"].isna().all():
        return "This network was not trained here: it is a checkpoint as it is."
    found = f"The best epoch is number {best + 1} of {count}."
    if best == count - 1:
        found = f"Undertrained: the best epoch is the last of {count}; train longer."
    if count <= patience:
        found += f" Early stopping (patience {patience}) cannot act within {count} epochs."
    return found


def finder_finding(curve: pd.DataFrame, pick: float) -> str:
    """Where the finder's loss falls fastest, and where it is lowest."""
    lowest = curve["learning_rate"].iloc[int(curve["loss"].argmin())]
    decades = np.log10(lowest / pick)
    return (
        f"The loss falls fastest at {pick:.2e}. It is lowest at {lowest:.2e}, "
        f"{decades:.1f} decades higher."
    )
