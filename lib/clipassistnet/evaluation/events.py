"""Warnings as a surgeon sees them: events of invisibility instead of single frames.

An event is an unbroken run of invisible frames. Time is frame / fps. Frames further apart than
`GAP` belong to different clips, and each clip is judged on its own. A frame stands for the time
until the next frame of its clip, the last one for its video's usual step.

A false alarm is an unbroken run of frames that warn while the tip is visible. A run next to an
event is none if it lasts at most `GRACE`: a warning may begin or end a little off. An alarm that is
always on makes only one false alarm each time the tip comes into view, so the share of time under a
false alarm is a measure of its own.
"""

from collections.abc import Mapping
from typing import NamedTuple, Unpack

import numpy as np
import pandas as pd

from clipassistnet.alarm import Alarm
from clipassistnet.evaluation.discrimination import ratio
from clipassistnet.evaluation.resampling import Draws, ratio_table
from clipassistnet.evaluation.targets import ensure_target

GAP = 1.0  # seconds between annotated frames that end a clip: five times the paper's sampling
GRACE = 0.5  # seconds by which a warning may begin before an event, or outlast it


class Setting(NamedTuple):
    """The arguments of `Alarm`: threshold, hysteresis below it, minimum duration in seconds."""

    threshold: float
    hysteresis: float = 0.0
    minimum_duration: float = 0.0


def timed(predictions: pd.DataFrame, fps: pd.Series, *, gap: float = GAP) -> pd.DataFrame:
    """Frames in order of time, with target and the columns time, clip and seconds.

    `predictions`: video, frame, label or target, score; `fps`, index video: the rate at which
    `frame` counts; `gap`: seconds between neighbours that end a clip. Raises ValueError where a
    video has no rate or a frame is there twice.
    """
    table = ensure_target(predictions)
    table = table.sort_values(["video", "frame"], ignore_index=True)
    if unknown := sorted(set(table["video"]) - set(fps.index)):
        raise ValueError(f"no frames per second for the videos {unknown[:5]}")
    if table.duplicated(["video", "frame"]).any():
        raise ValueError("the same video and frame twice")
    time = table["frame"] / table["video"].map(fps)
    step = time.groupby(table["video"]).diff()
    first = step.isna() | (
        step > gap + 1e-6
    )  # 1e-6: a gap of exactly this length may be longer in binary
    clip, within = first.cumsum(), step.mask(first)
    usual = within.groupby(table["video"]).transform("median").fillna(0.0)
    until_next = within.shift(-1).where(clip == clip.shift(-1))
    return table.assign(time=time, clip=clip, seconds=until_next.fillna(usual))


def alarms(frames: pd.DataFrame, setting: Setting) -> np.ndarray:
    """Whether the alarm of `live` is on, bool (frames,); `frames` as from `timed`.

    A clip begins with the alarm on, until scores have said "visible" for long enough.
    """
    alarm, clip, found = Alarm(*setting), None, np.empty(len(frames), bool)
    rows = zip(frames["clip"], frames["score"].clip(0, 1), frames["time"], strict=True)
    for i, (current, score, time) in enumerate(rows):
        if current != clip:
            alarm.reset()
            clip = current
        found[i] = alarm.update(score, time)
    return found


def raw(frames: pd.DataFrame, threshold: float) -> np.ndarray:
    """Whether each frame's own score reaches the threshold, bool (frames,)."""
    return (frames["score"] >= threshold).to_numpy()


def events(frames: pd.DataFrame, alarm: np.ndarray) -> pd.DataFrame:
    """One row per event of invisibility: video, clip, start, seconds, found, delay.

    `found`: the alarm was on at one of its frames. `delay`: seconds from its first frame to its
    first frame with the alarm on; nan where it was not found.
    """
    target, time = frames["target"].to_numpy() == 1, frames["time"].to_numpy()
    run = _runs(frames, target)
    starts = np.flatnonzero(np.diff(run[target], prepend=-1))
    first = np.flatnonzero(target)[starts]
    # Of each event that was found, the first frame with the alarm on.
    alarmed = np.flatnonzero(target & alarm)
    hit, where = np.unique(run[alarmed], return_index=True)
    delay = np.full(len(first), np.nan)
    delay[hit] = time[alarmed[where]] - time[first[hit]]
    return pd.DataFrame(
        {
            "video": frames["video"].to_numpy()[first],
            "clip": frames["clip"].to_numpy()[first],
            "start": time[first],
            "seconds": np.bincount(run[target], frames["seconds"][target], len(first)),
            "found": np.isfinite(delay),
            "delay": delay,
        }
    )


def per_video_events(
    frames: pd.DataFrame, alarm: np.ndarray, *, grace: float = GRACE
) -> pd.DataFrame:
    """Counts of each video: minutes, events, found, delay, false_alarms, changes, false_minutes.

    `minutes` of clipper time, `delay` in seconds, summed over the events found, `changes` of the
    alarm within clips, `false_minutes` of warning while the tip is visible. `grace`: see GRACE.
    """
    code, names = pd.factorize(frames["video"])
    visible, seconds = frames["target"].to_numpy() == 0, frames["seconds"].to_numpy()
    changed = np.diff(alarm, prepend=alarm[:1]) & ~_begins(frames)
    happened = events(frames, alarm)
    of = pd.Series(range(len(names)), names)[happened["video"]].to_numpy()

    def total(video: np.ndarray, values: np.ndarray | pd.Series) -> np.ndarray:
        return np.bincount(video, values, len(names))

    table = {
        "video": names,
        "minutes": total(code, seconds / 60),
        "events": np.bincount(of, minlength=len(names)),
        "found": total(of, happened["found"]),
        "delay": total(of, happened["delay"].fillna(0)),
        "false_alarms": np.bincount(code[_false(frames, alarm, grace)], minlength=len(names)),
        "changes": total(code, changed),
        "false_minutes": total(code, seconds / 60 * (alarm & visible)),
    }
    return pd.DataFrame(table)


# Measure: (part, whole, scale of its interval). All are ratios of sums over videos.
MEASURES = {
    "event sensitivity": ("found", "events", "logit"),
    "mean seconds to alarm": ("delay", "found", "identity"),
    "false alarms a minute": ("false_alarms", "minutes", "log"),
    "share of time under a false alarm": ("false_minutes", "minutes", "logit"),
    "changes a minute": ("changes", "minutes", "log"),
}


def rates_of_events(videos: pd.DataFrame) -> dict[str, float]:
    """The measures over all rows of `per_video_events`."""
    return {name: ratio(videos[part], videos[whole]) for name, (part, whole, _) in MEASURES.items()}


def event_table(
    frames: pd.DataFrame,
    shown: Mapping[str, np.ndarray],
    *,
    by: str = "video",
    **sampling: Unpack[Draws],
) -> pd.DataFrame:
    """One row per alarm and measure: alarm, measure, estimate, low, high, left_out.

    Intervals are 95 % over videos, or over patients by="patient". `shown` names what is compared:
    {name: alarm (frames,)}.
    """
    group = frames.drop_duplicates("video").set_index("video", drop=False)[by]
    counted = {
        name: per_video_events(frames, alarm).assign(**{by: lambda t: t["video"].map(group)})
        for name, alarm in shown.items()
    }
    table = ratio_table(counted, MEASURES, ("alarm", "measure"), by=by, **sampling)
    return table.assign(low=table["low"].clip(lower=0))  # no measure is below 0


def _false(frames: pd.DataFrame, alarm: np.ndarray, grace: float) -> np.ndarray:
    """The first frame of each false alarm."""
    visible = frames["target"].to_numpy() == 0
    on, begins = alarm & visible, _begins(frames)
    run = _runs(frames, on)
    lasts = np.bincount(run[on], frames["seconds"].to_numpy()[on])
    event_before = np.concatenate([[False], ~visible[:-1]]) & ~begins
    event_after = np.concatenate([(~visible & ~begins)[1:], [False]])
    adjoins = np.bincount(run[on], (event_before | event_after)[on]) > 0
    first = np.flatnonzero(on)[np.flatnonzero(np.diff(run[on], prepend=-1))]
    return first[~adjoins | (lasts > grace + 1e-6)]


def _begins(frames: pd.DataFrame) -> np.ndarray:
    """Whether a frame is the first of its clip."""
    return np.diff(frames["clip"].to_numpy(), prepend=-1) != 0


def _runs(frames: pd.DataFrame, on: np.ndarray) -> np.ndarray:
    """The number, from 0, of the unbroken run of `on` in one clip that a frame belongs to."""
    goes_on = np.concatenate([[False], on[:-1]]) & ~_begins(frames)
    return np.cumsum(on & ~goes_on) - 1
