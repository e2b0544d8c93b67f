"""Training one classifier: its settings, its frames, the fit, the learning-rate finder."""

from clipassistnet.training.batches import EpochOrder, FrameTable
from clipassistnet.training.fit import Fit, Settings, find_learning_rate, fit, predict, taught

__all__ = [
    "EpochOrder",
    "Fit",
    "FrameTable",
    "Settings",
    "find_learning_rate",
    "fit",
    "predict",
    "taught",
]
