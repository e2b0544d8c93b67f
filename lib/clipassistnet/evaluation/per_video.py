"""Figures video by video at one threshold, as in the paper.

Positive class: tip invisible (target 1); scores are p(invisible).
"""

import numpy as np
import pandas as pd

from clipassistnet.evaluation.discrimination import (
    SENSITIVITY,
    auroc,
    rates,
    threshold_at_sensitivity,
)
from clipassistnet.evaluation.targets import one_class, require_each_once


def metrics_per_video(predictions: pd.DataFrame, sensitivity: float = SENSITIVITY) -> pd.DataFrame:
    """One row per video: video, frames, prevalence, auroc, threshold, reason.

    `threshold` is the video's own threshold at this sensitivity. A video with one class only is
    listed with nan and the reason, and left out of `paper_threshold`.
    """
    rows = []
    for video, frames in require_each_once(predictions).groupby("video"):
        target, score = frames["target"].to_numpy(), frames["score"].to_numpy()
        reason = one_class(target)
        threshold = threshold_at_sensitivity(target, score, sensitivity)
        rows.append(
            {
                "video": video,
                "frames": len(frames),
                "prevalence": target.mean(),
                "auroc": np.nan if reason else auroc(target, score),
                "threshold": np.nan if reason else threshold,
                "reason": reason,
            }
        )
    return pd.DataFrame(rows)


def paper_threshold(videos: pd.DataFrame) -> float:
    """The paper's one threshold for all: the median of the thresholds of `metrics_per_video`.

    Fitted on test videos it is optimistic there: show it as "threshold from: test (as in the
    paper)", and use it neither live nor in another study. ValueError where no video has both
    classes.
    """
    thresholds = videos["threshold"].dropna()
    if thresholds.empty:
        raise ValueError("no video has both classes: there is no per-video threshold")
    return float(thresholds.median())


def rates_per_video(predictions: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """`rates` of each video at one threshold (the paper's Fig. 3): video, frames, ..."""
    rows = [
        {"video": video, "frames": len(f), **rates(f["target"], f["score"], threshold)}
        for video, f in require_each_once(predictions).groupby("video")
    ]
    return pd.DataFrame(rows)


def medians_by_model(predictions: pd.DataFrame) -> pd.DataFrame:
    """Each model at its own `paper_threshold`: threshold, median sensitivity and specificity.

    Medians are over videos. `predictions` holds the frames once for each `model`.
    """
    rows = []
    for model, frames in predictions.groupby("model", sort=False):
        threshold = paper_threshold(metrics_per_video(frames))
        found = rates_per_video(frames, threshold)
        medians = {
            f"median {rate}": found[rate].median() for rate in ("sensitivity", "specificity")
        }
        rows.append({"model": model, "threshold": threshold, **medians})
    return pd.DataFrame(rows).set_index("model")
