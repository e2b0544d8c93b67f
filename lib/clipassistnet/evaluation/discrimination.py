"""How well scores separate invisible tips (1) from visible ones (0): AUROC, thresholds, rates.

Everywhere `target` is 1 where the tip is invisible and `score` is p(invisible). A frame raises
the warning where its score reaches the threshold (score >= threshold).
"""

import warnings

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import roc_auc_score

from clipassistnet.evaluation.targets import checked, one_class

SENSITIVITY = 0.95  # the paper's operating point


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

    A rate with no frame to judge it by is nan. PPV is the share of warnings that are right: the
    paper describes this share in words, but the figure it gives there is a specificity.
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
    """Sum of `part` over sum of `whole`, both (N,); nan where the whole sums to 0.

    `bootstrap` can resample it. Sensitivity is the ratio of frames found to invisible frames; a
    rate per minute is the ratio of events to minutes.
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
