"""The alarm of `live`, chosen on validation frames: threshold, hysteresis, minimum duration.

Frames are those of `events.timed`. What is judged must never choose.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from clipassistnet.evaluation.events import (
    Setting,
    alarms,
    per_video_events,
    rates_of_events,
    timed,
)


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
    frames: pd.DataFrame,
    settings: Iterable[Setting] | None = None,
    *,
    sensitivity: float = 0.95,
    delay: float = 0.5,
    flicker: float = 2.0,
) -> pd.DataFrame:
    """Every setting (default: `grid`) with its measures, best first; never give it test frames.

    A setting `meets` the aims if it finds this share of events, with at most this mean delay in
    seconds, changes at most `flicker` times as often as the labels, and is not simply always on.
    Best is the one of these with the least time under a false alarm, then the fewest false alarms.
    Where none meets them, those that find enough come first.
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
    wrong = "share of time under a false alarm"
    steady = table["changes a minute"] <= flicker * labels["changes a minute"]
    prompt = steady & (table["mean seconds to alarm"] <= delay) & (table[wrong] < always[wrong])
    table["meets"] = prompt & (table["event sensitivity"] >= sensitivity)
    table["found"] = table["event sensitivity"].clip(upper=sensitivity)
    order = ["meets", "found", wrong, "false alarms a minute"]
    ranked = table.sort_values(order, ascending=[False, False, True, True], kind="stable")
    return ranked.drop(columns="found").reset_index(drop=True)


def best(choice: pd.DataFrame) -> Setting:
    """The first setting of `choose`."""
    return Setting(*(float(choice.loc[0, name]) for name in Setting._fields))


def frozen_settings(validation: pd.DataFrame, fps: pd.Series) -> dict[str, Setting]:
    """The alarm for each held-out subset, chosen on other frames.

    `validation` holds the frames on which the networks that judge the subset were validated, none
    of which lies in it: held_out, video, frame, label or target, score. `fps`: index video.
    """
    settings = {}
    for held_out, frames in validation.groupby("held_out", sort=False):
        settings[held_out] = best(choose(timed(frames, fps)))
    return settings


def frozen_alarms(frames: pd.DataFrame, settings: Mapping[str, Setting]) -> np.ndarray:
    """Whether the alarm is on, each frame by the setting of its subset; `frames` from `timed`."""
    found = pd.Series(False, frames.index)
    for held_out, part in frames.groupby("held_out", sort=False):
        found[part.index] = alarms(part, settings[held_out])
    return found.to_numpy()


def write_setting(setting: Setting, path: str | Path, **about: object) -> None:
    """Write a setting as the file of `live --alarm`; `about` says what it was chosen on."""
    body = {**setting._asdict(), "about": about}
    Path(path).write_text(json.dumps(body, indent=1, default=float) + "\n")
