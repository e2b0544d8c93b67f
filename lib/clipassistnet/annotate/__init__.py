"""Labelling frames and reviewing predictions, in JupyterLab.

The review (`review`, `review_figure`, `dataset_video`) is not imported here: the annotator's kernel
does without what it brings.
"""

from clipassistnet.annotate.annotator import Annotator, annotate
from clipassistnet.annotate.opening import Choice
from clipassistnet.annotate.tables import progress

__all__ = ["Annotator", "Choice", "annotate", "progress"]
