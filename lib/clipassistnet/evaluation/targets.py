"""What a network has to find in a frame: its target, 0 or 1, made from the frame's label.

There are two questions about a frame. Is the tip invisible (1: yes; scores are p(invisible))?
And, only for the network that arms the feedback: is a clip applier in the picture (1: yes)?
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from clipassistnet.data import cross_validation
from clipassistnet.data.schema import CLASSES, LABELS

TARGETS = {name: target for target, name in enumerate(CLASSES)}
ABSENT = ("refuse", "leave out", "invisible")


def with_target(predictions: pd.DataFrame, absent: str = "refuse") -> pd.DataFrame:
    """The predictions with a column `target` (1 = invisible) made from `label`.

    Frames without a clipper (label `absent`) are refused, left out (`leave out`: the paper's
    protocol) or counted as invisible (`invisible`: the all-frames protocol).
    Raises ValueError on unknown labels, and on absent frames where `absent` is "refuse".
    """
    if absent not in ABSENT:
        raise ValueError(f"absent={absent!r}: expected one of {', '.join(ABSENT)}")
    if "label" not in predictions:
        raise ValueError(f"no column 'label' among {', '.join(map(str, predictions.columns))}")
    unknown = sorted({str(label) for label in predictions["label"]} - set(LABELS))
    if unknown:
        raise ValueError(f"label {unknown}: expected visible, invisible or absent")
    empty = predictions["label"] == "absent"
    if absent == "refuse" and empty.any():
        raise ValueError(
            f"{empty.sum()} frames are labelled absent: with_target(predictions, 'leave out') "
            "follows the paper's protocol, 'invisible' the all-frames protocol"
        )
    kept = predictions[~empty] if absent == "leave out" else predictions
    target = kept["label"].map({**TARGETS, "absent": TARGETS["invisible"]})
    return kept.assign(target=target.astype("int64"))


def ensure_target(predictions: pd.DataFrame) -> pd.DataFrame:
    """The table itself where it has a column `target`, else `with_target` of it."""
    return predictions if "target" in predictions else with_target(predictions)


def with_arming_target(frames: pd.DataFrame) -> pd.DataFrame:
    """The frames with a column `target`, 1 = a clip applier is in the picture, made from `label`.

    `label`: visible, invisible or absent. An existing target is replaced.
    """
    return frames.assign(target=(frames["label"] != "absent").astype("int64"))


def with_target_of(frames: pd.DataFrame, loss: str) -> pd.DataFrame:
    """The frames that a network of this loss is judged by, with the target it was trained on.

    All frames where the loss is that of arming, else those with a clip applier (1 = tip invisible).
    """
    if loss == cross_validation.ARMING:
        return with_arming_target(frames)
    return with_target(frames, absent="leave out")


def require_each_once(predictions: pd.DataFrame, column: str | None = None) -> pd.DataFrame:
    """The predictions with a target; ValueError where a frame is there twice.

    With `column` a frame may be there once for each of its values.
    """
    table = ensure_target(predictions)
    keys = [key for key in (column, "video", "frame") if key and key in table]
    twice = table[table.duplicated(keys)] if "frame" in table else table.iloc[:0]
    if len(twice):
        first = ", ".join(f"{key} {twice.iloc[0][key]}" for key in keys)
        raise ValueError(f"{len(twice)} frames are there more than once, the first: {first}")
    return table


def checked(target: ArrayLike, score: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Targets as bool and scores as float, shape (N,) each.

    ValueError unless N > 0, targets are 0 or 1 and scores are finite.
    """
    target, score = np.asarray(target), np.asarray(score, dtype=float)
    if target.ndim != 1 or target.shape != score.shape or not target.size:
        raise ValueError(
            f"targets {target.shape} and scores {score.shape}: expected (N,) each, N > 0"
        )
    if not np.isin(target, (0, 1)).all():
        raise ValueError(f"targets {np.unique(target)[:5]}: expected 0 (visible), 1 (invisible)")
    if not np.isfinite(score).all():
        raise ValueError(f"{(~np.isfinite(score)).sum()} scores are not finite")
    return target.astype(bool), score


def one_class(target: ArrayLike) -> str:
    """Why these targets cannot be ranked: "all 12 frames are visible"; "" where both occur."""
    target = np.asarray(target)
    classes = np.unique(target)
    if len(classes) != 1:
        return ""
    name = "invisible" if classes[0] else "visible"
    return f"all {len(target)} frames are {name}"
