"""A threshold with a guarantee: the expected share of missed invisible frames is at most alpha.

Conformal risk control (Angelopoulos, Bates, Fisch, Lei & Schuster, ICLR 2024) with the video, or
the patient, as the unit: the frames of one video are not exchangeable with those of another. The
guarantee holds only for the scorer that scored the calibration videos, and only on videos that are
exchangeable with them; no part of the scorer may be trained, stopped or chosen on any of these.
`tools/threshold_guarantee.py` measures what happens otherwise.
"""

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pandas as pd

from clipassistnet.evaluation.targets import checked, ensure_target


class Guarantee(NamedTuple):
    """The largest threshold with the guarantee; nan where there are too few videos for one."""

    threshold: float
    alpha: float
    videos: int  # calibration videos that have an invisible frame
    needed: int  # smallest number of videos that supports this alpha


def videos_needed(alpha: float) -> int:
    """The smallest number of calibration videos that supports `alpha`: 1 / alpha - 1, rounded up.

    Even where no frame of n videos is missed, the bound on the expected miss of the next video is
    1 / (n + 1). Raises ValueError unless 0 < alpha < 1.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha {alpha}: expected a share between 0 and 1")
    return math.ceil(1 / Fraction(str(alpha)) - 1)


def missed(predictions: pd.DataFrame, threshold: float, *, by: str = "video") -> pd.Series:
    """Share of each video's invisible frames that score below the threshold, index video.

    Videos without an invisible frame are left out: nothing can be missed there.
    """
    invisible = _invisible(predictions, by)
    return (invisible["score"] < threshold).groupby(invisible[by]).mean().rename("missed")


def threshold_with_guarantee(
    predictions: pd.DataFrame, alpha: float = 0.05, *, by: str = "video"
) -> Guarantee:
    """Largest threshold whose expected share of missed invisible frames is at most alpha.

    The expectation is over the calibration videos and a new video with an invisible frame. The
    share missed grows with the threshold and is at most 1. So with n videos and mean share R(t),
    the largest t with (n R(t) + 1) / (n + 1) <= alpha is guaranteed (theorem 1 of the paper).

    Args:
        predictions: of the calibration videos: video, label or target, score.
        alpha: the share that may be missed.
        by: the unit, "video" or "patient".

    Raises:
        ValueError: no frame is invisible, or alpha is not between 0 and 1.
    """
    invisible = _invisible(predictions, by)
    sizes = invisible.groupby(by)["score"].transform("size").to_numpy()
    n, needed = invisible[by].nunique(), videos_needed(alpha)
    if n < needed:
        return Guarantee(float("nan"), alpha, n, needed)
    order = np.argsort(invisible["score"].to_numpy(), kind="stable")
    scores = invisible["score"].to_numpy()[order]
    # A threshold at scores[i] misses the frames that score less; each costs 1 / frames of its video
    lost = np.concatenate([[0.0], np.cumsum(1 / sizes[order])])
    below = lost[np.searchsorted(scores, scores, "left")]
    allowed = scores[below + 1 <= alpha * (n + 1) + 1e-9]
    return Guarantee(float(allowed[-1]), alpha, n, needed)


def _invisible(predictions: pd.DataFrame, by: str) -> pd.DataFrame:
    table = ensure_target(predictions)
    target, _ = checked(table["target"], table["score"])
    if not target.any():
        raise ValueError("no invisible frame: there is nothing to miss")
    return table.loc[target, [by, "score"]]
