"""How well a network or a locator sees the clip applier, and how well `live` arms by it.

Only in this module `target` is 1 where a clip applier is in the picture, and `score` is p(clip
applier). An event is a stretch: an unbroken run of frames with a clip applier. A run of armed
frames without one is a false arming. A run next to a stretch is none if it lasts at most
ARMING_DURATION + `events.GRACE`, because arming and disarming take that long.
"""

from typing import Unpack

import numpy as np
import pandas as pd

from clipassistnet.alarm import ARMING_DURATION, arming_settings
from clipassistnet.evaluation import discrimination, events
from clipassistnet.evaluation.resampling import Interval, Sampling, bootstrap, ratio_table
from clipassistnet.evaluation.targets import with_arming_target

HEADS = "judged", "measure"
FRAMES, ARMED = "each frame by itself", "armed by live"
# Measure: (part, whole, scale of its interval), ratios of sums over frames, or over videos.
RATES = {
    "sensitivity": ("found", "present", "logit"),
    "specificity": ("quiet", "empty", "logit"),
}
MEASURES = {
    "stretches in which it armed": ("found", "events", "logit"),
    "mean seconds to arm": ("delay", "found", "identity"),
    "false armings a minute without one": ("false_alarms", "empty_minutes", "log"),
}


def levels(predictions: pd.DataFrame) -> pd.Series:
    """The score above which `live` arms, a Series by `held_out`, fitted on other patients.

    95 % of the validation frames with a clip applier score above it: the level lies halfway
    between the lowest score that must be above and the next one. No frame of the held-out subset
    is used. `predictions`: held_out, split, label, score.
    """
    validation = with_arming_target(predictions[predictions["split"] == "validation"])
    found = {}
    for held_out, frames in validation.groupby("held_out", sort=False):
        lowest = discrimination.threshold_at_sensitivity(frames["target"], frames["score"])
        below = frames.loc[frames["score"] < lowest, "score"].max()
        found[held_out] = (lowest + (0.0 if np.isnan(below) else below)) / 2
    return pd.Series(found, name="level", dtype=float).rename_axis("held_out")


def table(
    predictions: pd.DataFrame, levels: pd.Series, fps: pd.Series, **sampling: Unpack[Sampling]
) -> pd.DataFrame:
    """How well a network or a locator classifies frames and arms.

    One row per way of judging and measure: judged, measure, estimate, low, high, left_out.

    AUROC and the rates of single frames are over all frames of the split "test". Arming is judged
    in the clips that last long enough for it (`clips_to_arm`); without such a clip it has no rows.

    Args:
        predictions: held_out, split, video, frame, label, patient, and score, p(clip applier).
        levels: as from the function of this name.
        fps: frames per second, index video.
    """
    held_out = predictions[predictions["split"] == "test"]
    if held_out.empty:
        return pd.DataFrame(columns=[*HEADS, *Interval._fields])
    frames = events.timed(with_arming_target(held_out), fps)
    ranked = {"measure": "AUROC", **bootstrap(frames, discrimination.auroc, **sampling)._asdict()}
    above = (frames["score"] > frames["held_out"].map(levels)).to_numpy()
    rates = {FRAMES: _counted(frames, above)}
    clips, stretches = clips_to_arm(frames), {}
    if len(clips):
        on = armed(clips, levels)
        rates[ARMED], stretches[ARMED] = _counted(clips, on), _by_video(clips, on)
    parts = [
        pd.DataFrame([{"judged": FRAMES, **ranked}]),
        ratio_table(rates, RATES, HEADS, **sampling),
        ratio_table(stretches, MEASURES, HEADS, **sampling),
    ]
    found = pd.concat(parts, ignore_index=True)
    return found.assign(low=found["low"].clip(lower=0))


def armed(frames: pd.DataFrame, levels: pd.Series) -> np.ndarray:
    """Whether `live --arm-model` would be armed, bool (frames,); `frames` as from `events.timed`.

    A clip begins unarmed.
    """
    on = np.zeros(len(frames), bool)
    for held_out, level in levels.items():
        own = (frames["held_out"] == held_out).to_numpy()
        absence = frames[own].assign(score=1 - frames.loc[own, "score"])
        on[own] = ~events.alarms(absence, events.Setting(*arming_settings(level)))
    return on


def clips_to_arm(frames: pd.DataFrame) -> pd.DataFrame:
    """The frames of clips that last ARMING_DURATION: in a shorter one nothing can arm."""
    time = frames.groupby("clip")["time"]
    lasts = time.transform("max") - time.transform("min")
    return frames[lasts > ARMING_DURATION - 1e-6].reset_index(drop=True)


def _counted(frames: pd.DataFrame, on: np.ndarray) -> pd.DataFrame:
    present = frames["target"] == 1
    return frames.assign(present=present, empty=~present, found=on & present, quiet=~on & ~present)


def _by_video(frames: pd.DataFrame, on: np.ndarray) -> pd.DataFrame:
    """`per_video_events` with patient and minutes without a clip applier."""
    videos = events.per_video_events(frames, on, grace=ARMING_DURATION + events.GRACE)
    minutes = (frames["seconds"] * (frames["target"] == 0)).groupby(frames["video"]).sum() / 60
    patient = frames.drop_duplicates("video").set_index("video")["patient"]
    return videos.assign(
        patient=videos["video"].map(patient), empty_minutes=videos["video"].map(minutes)
    )
