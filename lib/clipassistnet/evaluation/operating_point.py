"""The thresholds at which an ensemble is judged: the paper's, and one that was frozen before."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from clipassistnet.evaluation.per_video import metrics_per_video, paper_threshold
from clipassistnet.evaluation.thresholds import frozen_thresholds, guaranteed_alarms

PAPER = "test (as in the paper)"
FROZEN = "frozen (out-of-fold)"


class OperatingPoint(NamedTuple):
    """Thresholds of p(invisible).

    videos: `metrics_per_video` of the judged frames. fixed: the paper's threshold, fitted on these
    frames themselves. frozen: by `held_out`, chosen on validation frames of other patients.
    """

    videos: pd.DataFrame
    fixed: float
    frozen: pd.Series

    @property
    def levels(self) -> dict[str, float | pd.Series]:
        """Both by name, as `thresholds.warned` takes them."""
        return {PAPER: self.fixed, FROZEN: self.frozen}

    @property
    def middle(self) -> dict[str, float]:
        """Both as one number, the frozen one as the median over the held-out subsets."""
        return {PAPER: self.fixed, FROZEN: float(self.frozen.median())}


def fit(judged: pd.DataFrame, scored: pd.DataFrame) -> OperatingPoint:
    """Both thresholds of an ensemble.

    Args:
        judged: the ensemble's frames, each once: video, frame, target, score.
        scored: all predictions of its networks, as from `predictions.read`.
    """
    videos = metrics_per_video(judged)
    return OperatingPoint(videos, paper_threshold(videos), frozen_thresholds(scored))


def guaranteed(judged: pd.DataFrame, alpha: float) -> dict[str, np.ndarray]:
    """Which frames warn at thresholds that other patients calibrate; none with too few patients."""
    alarm = guaranteed_alarms(judged, alpha, by="patient")
    return {} if alarm is None else {f"guaranteed (alpha {alpha:g})": alarm}
