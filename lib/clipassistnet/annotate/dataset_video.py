"""The review of a dataset's video: what notebook 08 shows."""

import os
from typing import Any

import pandas as pd

from clipassistnet.annotate.review import Review, review
from clipassistnet.data.dataset import Dataset
from clipassistnet.data.video_source import source
from clipassistnet.files import BATCH


def most_judged(data: Dataset, predictions: pd.DataFrame) -> dict[str, Any]:
    """Arguments of `review` and `review_figure` for the video with the most predictions.

    Args:
        data: with the video, and perhaps its phases.
        predictions: video, frame, score and label; each frame once.
    """
    video = predictions["video"].value_counts().idxmax()
    rows = predictions.loc[predictions["video"] == video, ["frame", "score", "label"]]
    phases = None if data.phases is None else data.phases[data.phases["video"] == video]
    return {"video": source(data, video), "predictions": rows, "phases": phases}


def offer_review(**shown: Any) -> Review | None:
    """The review as a widget; None in a batch run, where there is no page to show it."""
    return None if BATCH in os.environ else review(**shown)
