"""The alarm of `live`, chosen on validation frames: threshold, hysteresis, minimum duration.

`frames` are as from `events.timed`. The frames that are judged must never choose.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from clipassistnet import files
from clipassistnet.evaluation.events import (
    Setting,
    alarms,
    per_video_events,
    rates_of_events,
    timed,
)
from clipassistnet.evaluation.targets import with_target

WRONG = "share of time under a false alarm"
SILENT = "silent share of visible time"


class Aims(NamedTuple):
    """What an alarm has to do on the frames that choose it."""

    sensitivity: float = 0.95  # share of the events that it finds
    delay: float = 0.5  # seconds from the start of an event to the alarm, on average
    flicker: float = 2.0  # times as often as the labels that it may change
    silence: float = 0.5  # share of the time with a visible tip during which it is off


AIMS = Aims()


def grid(frames: pd.DataFrame, quantiles: int = 12) -> list[Setting]:
    """Settings to choose from: thresholds at quantiles of the invisible frames' scores.

    A threshold above the lower half of them would miss half of the frames.
    """
    scores = frames.loc[frames["target"] == 1, "score"].clip(0.01, 1)
    levels = sorted({round(float(t), 4) for t in scores.quantile(np.linspace(0, 0.5, quantiles))})
    return [
        Setting(level, round(level * share, 4), duration)
        for level in levels
        for share in (0.0, 0.1, 0.3)
        for duration in (0.0, 0.2, 0.4, 0.8)
    ]


def choose(
    frames: pd.DataFrame, settings: Iterable[Setting] | None = None, aims: Aims = AIMS
) -> pd.DataFrame:
    """Every setting (default: `grid`) with its measures, best first; never give it test frames.

    The column `meets` says whether a setting meets all aims; `silent share of visible time` is one
    of its measures. The best setting is, among those that meet the aims, the one with the least
    time under a false alarm, then with the fewest false alarms. Where none meets them, the settings
    that find enough events come first.
    """
    rows = []
    for setting in settings or grid(frames):
        measures = rates_of_events(per_video_events(frames, alarms(frames, setting)))
        rows.append({**setting._asdict(), **measures})
    table = pd.DataFrame(rows)
    target = (frames["target"] == 1).to_numpy()
    labels, always = (
        rates_of_events(per_video_events(frames, on)) for on in (target, np.ones_like(target))
    )
    # An alarm that is always on has every visible moment under a false alarm.
    table[SILENT] = 1 - table[WRONG] / (always[WRONG] or np.nan)
    table["meets"] = (
        (table["event sensitivity"] >= aims.sensitivity)
        & (table["mean seconds to alarm"] <= aims.delay)
        & (table["changes a minute"] <= aims.flicker * labels["changes a minute"])
        & (table[SILENT] >= aims.silence)
    )
    table["found"] = table["event sensitivity"].clip(upper=aims.sensitivity)
    order = ["meets", "found", WRONG, "false alarms a minute"]
    ranked = table.sort_values(order, ascending=[False, False, True, True], kind="stable")
    return ranked.drop(columns="found").reset_index(drop=True)


def best(choice: pd.DataFrame) -> Setting:
    """The first setting of `choose`."""
    return Setting(*(float(choice.loc[0, name]) for name in Setting._fields))


def frozen_alarms(frames: pd.DataFrame, scored: pd.DataFrame, fps: pd.Series) -> np.ndarray:
    """Whether the alarm is on, bool (frames,), each subset with a setting chosen on other frames.

    Args:
        frames: as from `events.timed`, with `held_out`.
        scored: as from `predictions.read`: held_out, split, video, frame, label, score. The frames
            that validated the networks which judge a subset choose; none of them lies in it.
        fps: frames per second, index video.
    """
    found = pd.Series(False, frames.index)
    validation = scored[scored["split"] == "validation"]
    validation = with_target(validation, absent="leave out")
    others = dict(tuple(validation.groupby("held_out", sort=False)))
    for held_out, part in frames.groupby("held_out", sort=False):
        found[part.index] = alarms(part, best(choose(timed(others[held_out], fps))))
    return found.to_numpy()


def compared(
    frames: pd.DataFrame, scored: pd.DataFrame, frozen: pd.Series, fps: pd.Series
) -> dict[str, np.ndarray]:
    """The bare frozen threshold beside the alarm of `live`: {name: alarm (frames,)}.

    The arguments are those of `frozen_alarms`; `frozen` holds a threshold for each `held_out`.
    """
    bare = (frames["score"] >= frames["held_out"].map(frozen)).to_numpy()
    return {"bare frozen threshold": bare, "alarm of live": frozen_alarms(frames, scored, fps)}


def write_best(choice: pd.DataFrame, path: Path, aims: Aims = AIMS, **about: object) -> str:
    """Write the best setting of `choose` for `live --alarm`, or none where it misses the aims.

    Returns a sentence for the reader: what was written, or why nothing was. A file from an earlier
    choice is removed.
    """
    first = choice.loc[0]
    if first["meets"]:
        write_setting(best(choice), path, meets=True, **about)
        return f"{path.name}: {dict(best(choice)._asdict())}"
    path.unlink(missing_ok=True)
    return (
        f"No {path.name}: no setting meets the aims. The best one finds "
        f"{first['event sensitivity']:.0%} of the events (at least {aims.sensitivity:.0%} wanted) "
        f"after {first['mean seconds to alarm']:.2f} s (at most {aims.delay:.2f} s), changes "
        f"{first['changes a minute']:.1f} times a minute (at most {aims.flicker:g} times as often "
        f"as the labels), and is silent for {first[SILENT]:.0%} of the time with a visible tip "
        f"(at least {aims.silence:.0%})."
    )


def write_setting(setting: Setting, path: Path, **about: object) -> None:
    """Write a setting as the file of `live --alarm`; `about` describes the frames that chose it."""
    body = {**setting._asdict(), "about": about}
    files.write(path, json.dumps(body, indent=1, default=float) + "\n")
