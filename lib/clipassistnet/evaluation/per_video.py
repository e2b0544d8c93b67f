"""Figures video by video at one threshold, as in the paper, and the ensemble of several models.

Positive class: tip invisible (target 1); scores are p(invisible).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from clipassistnet.evaluation.discrimination import (
    SENSITIVITY,
    auroc,
    judged_once,
    one_class,
    rates,
    threshold_at_sensitivity,
)


def per_video(predictions: pd.DataFrame, sensitivity: float = SENSITIVITY) -> pd.DataFrame:
    """One row a video: video, frames, prevalence, auroc, threshold, reason.

    `threshold` is the video's own threshold at this sensitivity. A video with one class only is
    listed with nan and the reason, and left out of `paper_threshold`.
    """
    rows = []
    for video, frames in judged_once(predictions).groupby("video"):
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
    """The paper's one threshold for all: the median of the thresholds of `per_video`.

    Fitted on the very videos it judges: show it as "threshold from: test (as in the paper)" and
    never hand it on to anything.
    """
    thresholds = videos["threshold"].dropna()
    if thresholds.empty:
        raise ValueError("no video has both classes: there is no per-video threshold")
    return float(thresholds.median())


def per_video_rates(predictions: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """`rates` of every video at one threshold (Fig. 3): video, frames, sensitivity, ..."""
    rows = [
        {"video": video, "frames": len(f), **rates(f["target"], f["score"], threshold)}
        for video, f in judged_once(predictions).groupby("video")
    ]
    return pd.DataFrame(rows)


def ensemble(members: pd.DataFrame, weights: Sequence[float] = ()) -> pd.DataFrame:
    """One row a frame: the members' rows with the weighted mean of their scores (equal weights).

    `members` holds the frames once for each `model`: model, video, frame, score and what else
    belongs to a frame; `weights` follow the order in which the models first appear.
    ValueError where the members did not judge the same frames, or for impossible weights.
    """
    names = list(members["model"].unique())
    weights = list(weights) or [1.0] * len(names)
    if len(weights) != len(names) or min(weights) < 0 or not sum(weights) > 0:
        raise ValueError(f"weights {weights}: expected one, not negative, for each of {names}")
    rows = judged_once(members.assign(target=0), "model").drop(columns="target")
    parts = [rows[rows["model"] == name].sort_values(["video", "frame"]) for name in names]
    shared = [part.drop(columns=["model", "score"]).reset_index(drop=True) for part in parts]
    for name, other in zip(names, shared, strict=True):
        if not other.equals(shared[0]):
            raise ValueError(f"models {names[0]} and {name} did not judge the same frames")
    score = np.average([part["score"] for part in parts], axis=0, weights=weights)
    return shared[0].assign(score=score)
