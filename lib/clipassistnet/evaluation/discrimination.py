"""How well scores tell invisible tips (1) from visible ones (0): AUROC, thresholds, rates.

Everywhere `target` is 1 where the tip is invisible and `score` is p(invisible). A frame raises
the warning where its score reaches the threshold (score >= threshold).
"""

import warnings

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import roc_auc_score

from clipassistnet.data.schema import CLASSES, LABELS

TARGETS = {name: target for target, name in enumerate(CLASSES)}
ABSENT = ("refuse", "leave out", "invisible")
SENSITIVITY = 0.95  # the paper's operating point


def with_target(predictions: pd.DataFrame, absent: str = "refuse") -> pd.DataFrame:
    """The predictions with a column `target` (1 = invisible) made from `label`.

    Frames without a clipper (label `absent`) are refused, left out (`leave out`: the paper's
    protocol) or counted as invisible (`invisible`: the all-frames protocol).
    Raises ValueError on unknown labels, and on absent frames that nobody decided about.
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


def judged_once(predictions: pd.DataFrame, column: str | None = None) -> pd.DataFrame:
    """Predictions with a target, each frame exactly once (for each value of `column`)."""
    table = predictions if "target" in predictions else with_target(predictions)
    keys = [key for key in (column, "video", "frame") if key and key in table]
    twice = table[table.duplicated(keys)] if "frame" in table else table.iloc[:0]
    if len(twice):
        first = ", ".join(f"{key} {twice.iloc[0][key]}" for key in keys)
        raise ValueError(f"{len(twice)} frames are there more than once, the first: {first}")
    return table


def checked(target: ArrayLike, score: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays of shape (N,); ValueError unless targets are 0 or 1 and scores finite."""
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
    classes = np.unique(target)
    if len(classes) != 1:
        return ""
    name = "invisible" if classes[0] else "visible"
    return f"all {len(target)} frames are {name}"


def auroc(target: ArrayLike, score: ArrayLike) -> float:
    """Area under the ROC curve: P(an invisible frame scores higher than a visible one).

    nan, with a warning that gives the reason, where only one class is present.
    """
    target, score = checked(target, score)
    if reason := one_class(target):
        warnings.warn(f"AUROC undefined: {reason}", UndefinedMetricWarning, stacklevel=2)
        return float("nan")
    return float(roc_auc_score(target, score))


def positives_needed(positives: int, sensitivity: float) -> int:
    """Smallest count whose share of `positives` reaches the sensitivity, without rounding errors.

    0.95 * 180 is a little more than 171 in floating point, but 171 / 180 is 0.95 exactly.
    """
    if not 0 < sensitivity <= 1:
        raise ValueError(f"sensitivity {sensitivity}: expected more than 0 and at most 1")
    count = int(sensitivity * positives)
    return count if count / positives >= sensitivity else count + 1


def threshold_at_sensitivity(
    target: ArrayLike, score: ArrayLike, sensitivity: float = SENSITIVITY
) -> float:
    """Largest threshold at which at least this share of the invisible frames raises the warning.

    It is the score of an invisible frame; nan where there is none.
    """
    target, score = checked(target, score)
    invisible = np.sort(score[target])[::-1]
    if not invisible.size:
        return float("nan")
    return float(invisible[positives_needed(invisible.size, sensitivity) - 1])


def specificity_at_sensitivity(
    target: ArrayLike, score: ArrayLike, sensitivity: float = SENSITIVITY
) -> float:
    """Share of the visible frames without a warning at `threshold_at_sensitivity`.

    nan, with a warning that gives the reason, where only one class is present.
    """
    target, score = checked(target, score)
    if reason := one_class(target):
        warnings.warn(f"specificity undefined: {reason}", UndefinedMetricWarning, stacklevel=2)
        return float("nan")
    threshold = threshold_at_sensitivity(target, score, sensitivity)
    return float(np.mean(score[~target] < threshold))


METRICS = {"auroc": auroc, "specificity_at_95": specificity_at_sensitivity}


def rates(target: ArrayLike, score: ArrayLike, threshold: float) -> dict[str, float]:
    """Sensitivity, specificity, PPV, NPV, prevalence and the four counts at one threshold.

    A rate without a single frame to judge it by is nan. PPV is the share of warnings that are
    right: what the paper describes in words where it reports a specificity.
    """
    target, score = checked(target, score)
    if np.isnan(threshold):
        raise ValueError("threshold nan: expected a number")
    alarm = score >= threshold
    tp, fp = int((alarm & target).sum()), int((alarm & ~target).sum())
    fn, tn = int((~alarm & target).sum()), int((~alarm & ~target).sum())
    return {
        "sensitivity": _share(tp, tp + fn),
        "specificity": _share(tn, tn + fp),
        "ppv": _share(tp, tp + fp),
        "npv": _share(tn, tn + fn),
        "prevalence": _share(tp + fn, target.size),
        "tp": tp,
        "fp": fp,
        "fn": fn,
        "tn": tn,
    }


def ratio(part: ArrayLike, whole: ArrayLike) -> float:
    """Sum of `part` over sum of `whole`, both (N,): a rate that one can resample; nan of nothing.

    Sensitivity is the ratio of frames found to invisible frames, a rate a minute that of events
    to minutes.
    """
    return _share(float(np.sum(part)), float(np.sum(whole)))


def predictive_values(
    sensitivity: float, specificity: float, prevalence: float
) -> tuple[float, float]:
    """(PPV, NPV) by Bayes' rule where `prevalence` of the frames are invisible."""
    for name, share in (
        ("sensitivity", sensitivity),
        ("specificity", specificity),
        ("prevalence", prevalence),
    ):
        if not 0 <= share <= 1:
            raise ValueError(f"{name} {share}: expected 0 to 1")
    tp, fn = sensitivity * prevalence, (1 - sensitivity) * prevalence
    tn, fp = specificity * (1 - prevalence), (1 - specificity) * (1 - prevalence)
    return _share(tp, tp + fp), _share(tn, tn + fn)


def _share(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
