"""The figure of notebook 05. It is not in `plots`, so that a change there retrains no network."""

import pandas as pd
from matplotlib.figure import Figure


def learning_curves(history: pd.DataFrame) -> Figure:
    """Losses and AUROC by epoch; of a head on features, by the penalty on its weights."""
    x = "penalty" if "penalty" in history else "epoch"
    columns = ["train_loss", "validation_loss", "validation_auroc", "learning_rate"]
    shown = [column for column in columns if column in history]
    axes = history.plot(
        x=x, y=shown, subplots=True, layout=(1, -1), figsize=(3 * len(shown), 2.6), marker="."
    )
    if x == "penalty":
        for axis in axes.flat:
            axis.set_xscale("log")
    figure: Figure = axes.flat[0].figure
    figure.tight_layout()
    return figure
