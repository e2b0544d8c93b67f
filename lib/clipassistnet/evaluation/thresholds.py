"""Where to set the threshold: what each choice costs, and for which scorer it is guaranteed.

`frames` hold each judged frame once: video, frame, target, score and `held_out`. `held_out` is the
subset in which the frame lies ("test", or a fold in a nested study); it names the networks that
scored the frame, and none of these saw a frame of that subset.
"""

from collections.abc import Mapping, Sequence
from typing import Unpack

import numpy as np
import pandas as pd

from clipassistnet.evaluation.conformal import threshold_with_guarantee, videos_needed
from clipassistnet.evaluation.discrimination import auroc, rates, ratio
from clipassistnet.evaluation.events import Setting, alarms, per_video_events, rates_of_events, raw
from clipassistnet.evaluation.intervals import Interval
from clipassistnet.evaluation.per_video import metrics_per_video, paper_threshold, rates_per_video
from clipassistnet.evaluation.resampling import Draws, Sampling, bootstrap, ratio_table
from clipassistnet.evaluation.targets import with_target

GRID = np.linspace(0.01, 1, 100)
# What `weigh` gives of each alarm.
COSTS = "event sensitivity", "false alarms a minute", "share of time under a false alarm"


def frozen_thresholds(predictions: pd.DataFrame) -> pd.Series:
    """The threshold of each held-out subset, fitted on other videos: a Series by `held_out`.

    The paper's rule (`paper_threshold`) on the validation frames of the networks that judge the
    subset; none of these frames lies in it. ValueError where no such video has both classes.

    Args:
        predictions: as from `predictions.read`.
    """
    validation = predictions[predictions["split"] == "validation"]
    if validation.empty:
        raise ValueError(f"no validation frame among {len(predictions)} predictions")
    validation = with_target(validation, absent="leave out")
    thresholds = {
        held_out: paper_threshold(metrics_per_video(frames))
        for held_out, frames in validation.groupby("held_out", sort=False)
    }
    return pd.Series(thresholds, name="threshold").rename_axis("held_out")


def warned(
    frames: pd.DataFrame, thresholds: Mapping[str, float | pd.Series]
) -> dict[str, np.ndarray]:
    """Which frames raise the warning: {name of the threshold: bool (frames,)}.

    A threshold is one number, or a Series of one for each `held_out`.
    """
    levels = {
        name: frames["held_out"].map(level) if isinstance(level, pd.Series) else level
        for name, level in thresholds.items()
    }
    return {name: (frames["score"] >= level).to_numpy() for name, level in levels.items()}


# Rate: (part, whole, scale of its interval), columns of `_counted`.
RATES = {
    "sensitivity": ("found", "invisible", "logit"),
    "specificity": ("quiet", "visible", "logit"),
    "ppv": ("found", "alarm", "logit"),
    "npv": ("quiet", "silence", "logit"),
}


def rate_table(
    frames: pd.DataFrame,
    shown: Mapping[str, np.ndarray],
    *,
    by: str = "video",
    **sampling: Unpack[Draws],
) -> pd.DataFrame:
    """One row per choice and rate: threshold from, rate, estimate, low, high, left_out.

    Rates are sensitivity, specificity, ppv and npv, the last two at the prevalence of these
    frames; intervals are 95 % over videos. `shown` names the choices: {name: whether each frame
    raises the warning (frames,)}.
    """
    counted = {name: _counted(frames[[by, "target"]], alarm) for name, alarm in shown.items()}
    return ratio_table(counted, RATES, ("threshold from", "rate"), by=by, **sampling)


def _counted(frames: pd.DataFrame, alarm: np.ndarray) -> pd.DataFrame:
    invisible = frames["target"] == 1
    return frames.assign(
        invisible=invisible,
        visible=~invisible,
        alarm=alarm,
        silence=~alarm,
        found=alarm & invisible,
        quiet=~alarm & ~invisible,
    )


def video_medians(frames: pd.DataFrame, shown: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Medians over videos of sensitivity, specificity, PPV and NPV, named as in `published`.

    The first of `shown` is the paper's threshold: its medians have the names of the paper's own
    medians. The names of the others end with their threshold's name.
    """
    medians: dict[str, float] = {}
    for name, alarm in shown.items():
        found = rates_per_video(frames.assign(score=alarm.astype(float)), 0.5)
        suffix = f", {name}" if medians else ""
        for rate in ("sensitivity", "specificity", "ppv", "npv"):
            title = rate.upper() if rate in ("ppv", "npv") else rate
            medians[f"median {title} over test videos{suffix}"] = found[rate].median()
    return medians


def confusion_counts(frames: pd.DataFrame, alarm: np.ndarray) -> pd.DataFrame:
    """Confusion counts of every video at one choice of warnings, the sum of all first.

    Indexed by video ("all" first): frames, tp (invisible with a warning), fn, fp, tn, sensitivity,
    specificity, ppv. `alarm`: whether each frame raises the warning (frames,).
    """
    shown = frames.assign(score=alarm.astype(float))
    everything = rates_per_video(shown.assign(video="all", frame=range(len(shown))), 0.5)
    columns = ["frames", "tp", "fn", "fp", "tn", "sensitivity", "specificity", "ppv"]
    table = pd.concat([everything, rates_per_video(shown, 0.5)])
    return table.set_index("video")[columns]


def absent_table(
    frames: pd.DataFrame, shown: Mapping[str, np.ndarray], **sampling: Unpack[Sampling]
) -> pd.DataFrame:
    """How scores behave on frames without a clipper: figure, estimate, low, high, left_out.

    For each of `shown` the share of frames without a clipper that it calls visible. Then the AUROC
    of p(invisible) as a sign that there is no clipper: feedback that arms by the score alone would
    need this sign. No rows where there are no such frames.

    Args:
        frames: video, frame, label (visible, invisible, absent), score.
        shown: {name: whether each frame raises the warning (frames,)}.
    """
    absent = (frames["label"] == "absent").to_numpy()
    table = frames.assign(target=absent.astype(int), absent=absent)
    found = {}
    if absent.any():
        for name, alarm in shown.items():
            called = table.assign(called=~alarm & absent)
            found[f"called visible, threshold {name}"] = bootstrap(
                called, ratio, columns=("called", "absent"), **sampling
            )
    if absent.any() and not absent.all():
        found["AUROC: no clipper by p(invisible)"] = bootstrap(table, auroc, **sampling)
    rows = [{"figure": name, **interval._asdict()} for name, interval in found.items()]
    return pd.DataFrame(rows, columns=["figure", *Interval._fields])


def guarantee_table(
    frames: pd.DataFrame,
    single: pd.DataFrame,
    alphas: Sequence[float] = (0.05, 0.1, 0.2),
    *,
    by: str = "video",
) -> pd.DataFrame:
    """Thresholds by conformal risk control, and what each is worth.

    One row per scorer and alpha: alpha, scorer, calibrated on, units (videos or patients that
    calibrate it), needed, threshold, standing. `standing` is "guaranteed" for that scorer on new
    videos like these, "heuristic" where another scorer's scores calibrated it, or how many units
    are needed. `single` holds out-of-fold frames, each scored by one network alone.
    """
    rows = []
    for alpha in alphas:
        for held_out, part in frames.groupby("held_out", sort=False):
            scorer = f"the ensemble that judges {_subset(held_out)}"
            row = {
                "alpha": alpha,
                "scorer": scorer,
                "calibrated on": "the judged frames, which it never saw",
            }
            rows.append(row | _standing(part, alpha, by, "guaranteed"))
        row = {"alpha": alpha, "scorer": "any of the ensembles"}
        row["calibrated on"] = "out-of-fold scores of single networks"
        rows.append(row | _standing(single, alpha, by, "heuristic"))
    return pd.DataFrame(rows)


def guaranteed_alarms(
    frames: pd.DataFrame, alpha: float, *, by: str = "video"
) -> np.ndarray | None:
    """Whether each frame raises the warning at a threshold that the other videos calibrate.

    Each video (or patient) is judged at a threshold calibrated on the others that the same networks
    judge, so no frame calibrates its own threshold. None where there are too few for `alpha`.
    """
    found = pd.Series(False, frames.index)
    for _, part in frames.groupby("held_out", sort=False):
        for _, own in part.groupby(by):
            others = part.drop(own.index)
            if others.loc[others["target"] == 1, by].nunique() < videos_needed(alpha):
                return None
            threshold = threshold_with_guarantee(others, alpha, by=by).threshold
            found[own.index] = own["score"] >= threshold
    return found.to_numpy()


def weigh(frames: pd.DataFrame, setting: Setting, levels: np.ndarray = GRID) -> pd.DataFrame:
    """What each threshold costs: threshold, sensitivity, specificity, ppv, npv, and of `COSTS`.

    One row for each threshold of `levels`. The costs are those of the bare threshold ("raw") and of
    the alarm of `live` with the hysteresis and duration of `setting`; false alarms are counted per
    minute of clipper time. `frames` as from `events.timed`.
    """
    rows = []
    for threshold in map(float, levels):
        found = rates(frames["target"], frames["score"], threshold)
        row = {name: found[name] for name in ("sensitivity", "specificity", "ppv", "npv")}
        narrow = Setting(
            threshold, min(setting.hysteresis, threshold / 2), setting.minimum_duration
        )
        for name, alarm in (("raw", raw(frames, threshold)), ("live", alarms(frames, narrow))):
            measures = rates_of_events(per_video_events(frames, alarm))
            row |= {f"{cost}, {name}": measures[cost] for cost in COSTS}
        rows.append({"threshold": threshold, **row})
    return pd.DataFrame(rows)


def _standing(frames: pd.DataFrame, alpha: float, by: str, standing: str) -> dict:
    found = threshold_with_guarantee(frames, alpha, by=by)
    if np.isnan(found.threshold):
        standing = f"too few: {found.needed} are needed, {found.videos} are there"
    return {
        "units": found.videos,
        "needed": found.needed,
        "threshold": found.threshold,
        "standing": standing,
    }


def _subset(held_out: str) -> str:
    return "the test videos" if held_out == "test" else f"fold {held_out}"
