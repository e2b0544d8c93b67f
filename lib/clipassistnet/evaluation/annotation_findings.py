"""What the annotations of a study show, a sentence for each table of notebook 01."""

import numpy as np
import pandas as pd


def noise(confusion: pd.DataFrame, transition: np.ndarray) -> str:
    """What the label confusion matrix says: rows truth, columns label; visible, invisible.

    Nothing where it was counted on no frame.
    """
    if confusion.empty:
        return ""
    return (
        f"An annotator calls {transition[0, 1]:.1%} of the visible frames invisible, and "
        f"{transition[1, 0]:.1%} of the invisible frames visible."
    )


def error_rates(rates: pd.Series) -> str:
    """The spread of the annotators' error rates; none without triple-annotated frames."""
    if rates.empty:
        return "No frame has three labels, so no annotator has an error rate."
    worst = rates.idxmax()
    return f"Error rates run from {rates.min():.1%} to {rates.max():.1%} ({worst})."


def disputed(table: pd.DataFrame) -> str:
    """From `annotation.disputed`: the cause that is disputed most often."""
    if table.empty or not table["disputed"].any():
        return "No frame with a cause is disputed."
    first = table.iloc[0]
    cause = first["cause"].replace("_", " ")
    counted = f"{first['disputed']} of its {first['frames']} frames are disputed"
    return f"The cause with the most disputed frames is {cause}: {counted}."
