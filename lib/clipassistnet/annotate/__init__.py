"""Labelling frames and reviewing predictions, in JupyterLab."""

from clipassistnet.annotate.annotator import Annotator, annotate
from clipassistnet.annotate.dataset_video import most_judged, offer_review
from clipassistnet.annotate.opening import Choice
from clipassistnet.annotate.review import Review, review
from clipassistnet.annotate.review_figure import review_figure
from clipassistnet.annotate.tables import progress

__all__ = [
    "Annotator",
    "Choice",
    "Review",
    "annotate",
    "most_judged",
    "offer_review",
    "progress",
    "review",
    "review_figure",
]
