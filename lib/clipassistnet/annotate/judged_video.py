"""What live would have shown on one video, from stored scores, and the moments worth a look."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from clipassistnet.alarm import HYSTERESIS, MINIMUM_DURATION, THRESHOLD, Alarm, Assistant, State
from clipassistnet.annotate.errors import AnnotateError
from clipassistnet.data.schema import LABELS
from clipassistnet.evaluation import events
from clipassistnet.evaluation.events import Setting

STATES = tuple(State)
MOMENTS = ("alarm", "miss", "false alarm", "label change")


@dataclass(frozen=True)
class JudgedVideo:
    """Frames of one video in order, with score, label and what live would have shown.

    frames: columns frame, time (seconds), score (p(invisible)), label ("" where there is none).
    states: index into STATES of each of these frames, as `live --offline` decides them.
    setting: threshold, hysteresis and minimum duration.
    """

    frames: pd.DataFrame
    states: np.ndarray
    setting: Setting

    def moments(self) -> dict[str, list[int]]:
        """The frames at which an alarm, a miss, a false alarm or another label begins."""
        label, state = self.frames["label"].to_numpy(), self.states
        warns = state == STATES.index(State.NOT_VISIBLE)
        begins = {
            "alarm": warns,
            "miss": (label == "invisible") & (state == STATES.index(State.VISIBLE)),
            "false alarm": warns & (label == "visible"),
        }
        found = {name: np.diff(on, prepend=False) & on for name, on in begins.items()}
        changed = np.append([False], label[1:] != label[:-1])
        found["label change"] = changed & (label != "")
        return {name: self.frames.loc[found[name], "frame"].tolist() for name in MOMENTS}

    def rates(self) -> str:
        """Events found and false alarms a minute, in words."""
        labelled = self.frames[self.frames["label"].isin(["visible", "invisible"])]
        if labelled.empty:
            return f"{len(self.moments()['alarm'])} alarms; without labels no event is known"
        span = np.diff(self.frames["time"]).mean() if len(self.frames) > 1 else 1.0
        timed = events.timed(labelled.assign(video="v"), pd.Series({"v": self._fps()}))
        counted = events.per_video_events(timed, events.alarms(timed, self.setting))
        row = counted.iloc[0]
        rate = row["false_alarms"] / row["minutes"] if row["minutes"] else float("nan")
        return (
            f"{row['found']:.0f} of {row['events']:.0f} events found, "
            f"{rate:.1f} false alarms a minute of labelled time"
            + ("" if span < 1 else " (frames lie far apart: these rates say little)")
        )

    def _fps(self) -> float:
        last = self.frames.iloc[-1]
        return float(last["frame"] / last["time"]) if last["time"] else 1.0


def judge(predictions: pd.DataFrame, fps: float, setting: Setting) -> JudgedVideo:
    """Decide every frame as `live --offline` does, armed from the start.

    Args:
        predictions: frame, score and, if there is one, label; of one video, each frame once.
        fps: the rate at which `frame` counts.
        setting: of the alarm.

    Raises:
        AnnotateError: a column is missing, a frame is there twice, or a label is unknown.
    """
    missing = {"frame", "score"} - set(predictions)
    if missing:
        raise AnnotateError(f"predictions: no column {', '.join(sorted(missing))}")
    label = predictions["label"].fillna("") if "label" in predictions else ""
    frames = predictions[["frame", "score"]].assign(label=label)
    frames = frames.sort_values("frame", ignore_index=True)
    if frames.empty or frames["frame"].duplicated().any():
        raise AnnotateError("predictions: no frame, or a frame twice (expected each frame once)")
    unknown = sorted(set(frames["label"]) - {*LABELS, ""})
    if unknown:
        expected = f"expected one of {', '.join(LABELS)}"
        raise AnnotateError(f"predictions: label {unknown[0]!r} ({expected})")
    frames.insert(1, "time", frames["frame"] / fps)
    assistant = Assistant(Alarm(*setting), armed=True)
    states = np.empty(len(frames), np.uint8)
    rows = zip(frames["time"].tolist(), frames["score"].tolist(), strict=True)
    for index, (time, score) in enumerate(rows):
        assistant.picture(time)
        assistant.scored(time, score)
        states[index] = STATES.index(assistant.decide(time).state)
    return JudgedVideo(frames, states, setting)


def setting_of(alarm: Setting | str | Path | None) -> tuple[Setting, str]:
    """The alarm's numbers and where they are from: alarm.json of notebook 08, given, or defaults.

    Raises:
        AnnotateError: the file is not an alarm's.
    """
    if alarm is None:
        return Setting(THRESHOLD, HYSTERESIS, MINIMUM_DURATION), "defaults of live"
    if isinstance(alarm, tuple):
        return Setting(*alarm), "as given"
    try:
        chosen = json.loads(Path(alarm).read_text("utf-8"))
        setting = Setting(*(float(chosen[name]) for name in Setting._fields))
    except (ValueError, KeyError, TypeError) as error:
        expected = ", ".join(Setting._fields)
        raise AnnotateError(f"{alarm}: {error!r} (expected the numbers {expected})") from error
    return setting, f"frozen: {Path(alarm).name}"
