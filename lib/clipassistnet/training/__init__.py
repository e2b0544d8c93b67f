"""Training one classifier: settings, frames, fit, learning-rate finder, predictions."""

from clipassistnet.training.batches import EpochOrder, FrameTable
from clipassistnet.training.fitting import Fit, find_learning_rate, fit
from clipassistnet.training.prediction import predict, with_teacher_scores
from clipassistnet.training.settings import Settings

__all__ = [
    "EpochOrder",
    "Fit",
    "FrameTable",
    "Settings",
    "find_learning_rate",
    "fit",
    "predict",
    "with_teacher_scores",
]
