"""Labelling frames and reviewing predictions, in JupyterLab."""

from clipassistnet.annotate.annotator import Annotator, annotate
from clipassistnet.annotate.opening import Choice
from clipassistnet.annotate.tables import progress

__all__ = ["Annotator", "Choice", "annotate", "progress"]
