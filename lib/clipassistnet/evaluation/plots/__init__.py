"""Figures of the notebooks: each function draws one and returns it."""

from clipassistnet.evaluation.plots.basic import bars, matrix, show
from clipassistnet.evaluation.plots.losses import (
    by_loss,
    differences,
    finder,
    learning_curves,
    training_patients,
)
from clipassistnet.evaluation.plots.patients import (
    embedding,
    forest,
    frames_per_video,
    invisible_shares,
    per_video,
    subset_sizes,
)
from clipassistnet.evaluation.plots.pictures import frame_grid, labelled_frames, saliency
from clipassistnet.evaluation.plots.scores import (
    confusion,
    decision_curve,
    reliability,
    roc,
    score_histogram,
    weigh,
)
from clipassistnet.evaluation.plots.style import INVISIBLE, VISIBLE, theme

__all__ = [
    "INVISIBLE",
    "VISIBLE",
    "bars",
    "by_loss",
    "confusion",
    "decision_curve",
    "differences",
    "embedding",
    "finder",
    "forest",
    "frame_grid",
    "frames_per_video",
    "invisible_shares",
    "labelled_frames",
    "learning_curves",
    "matrix",
    "per_video",
    "reliability",
    "roc",
    "saliency",
    "score_histogram",
    "show",
    "subset_sizes",
    "theme",
    "training_patients",
    "weigh",
]
