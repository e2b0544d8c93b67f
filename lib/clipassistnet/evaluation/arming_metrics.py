"""How well a network finds the clip applier in the picture, and how well `live` arms by it.

Only in this module `target` is 1 where a clip applier is in the picture, and `score` is p(clip
applier). An event is a stretch: an unbroken run of frames with a clip applier. A run of armed
frames without one is a false arming. A run next to a stretch is none if it lasts at most
ARMING_DURATION + `events.GRACE`, because arming and disarming take that long.
"""

from typing import Unpack

import numpy as np
import pandas as pd

from clipassistnet.alarm import ARMING_DURATION, ARMING_THRESHOLD, HYSTERESIS
from clipassistnet.evaluation import discrimination, events
from clipassistnet.evaluation.resampling import Sampling, bootstrap, ratio_table
from clipassistnet.evaluation.targets import with_arming_target

# Of 1 - score, as in `live`.
SETTING = events.Setting(ARMING_THRESHOLD, HYSTERESIS, ARMING_DURATION)
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


def table(predictions: pd.DataFrame, fps: pd.Series, **sampling: Unpack[Sampling]) -> pd.DataFrame:
    """How well a network classifies frames and arms.

    One row per way of judging and measure: judged, measure, estimate, low, high, left_out.

    AUROC and the rates of single frames are over all frames of the split "test". Arming is judged
    in the clips that last long enough for it (`clips_to_arm`); without such a clip it has no rows.

    Args:
        predictions: of a network for arming, as from `predictions.read`.
        fps: frames per second, index video.
    """
    frames = events.timed(with_arming_target(predictions[predictions["split"] == "test"]), fps)
    ranked = {"measure": "AUROC", **bootstrap(frames, discrimination.auroc, **sampling)._asdict()}
    rates = {FRAMES: _counted(frames, (frames["score"] > 1 - ARMING_THRESHOLD).to_numpy())}
    clips, stretches = clips_to_arm(frames), {}
    if len(clips):
        on = armed(clips)
        rates[ARMED], stretches[ARMED] = _counted(clips, on), _by_video(clips, on)
    parts = [
        pd.DataFrame([{"judged": FRAMES, **ranked}]),
        ratio_table(rates, RATES, HEADS, **sampling),
        ratio_table(stretches, MEASURES, HEADS, **sampling),
    ]
    found = pd.concat(parts, ignore_index=True)
    return found.assign(low=found["low"].clip(lower=0))


def armed(frames: pd.DataFrame) -> np.ndarray:
    """Whether `live --arm-model` would be armed, bool (frames,); `frames` as from `events.timed`.

    A clip begins unarmed.
    """
    return ~events.alarms(frames.assign(score=1 - frames["score"]), SETTING)


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
