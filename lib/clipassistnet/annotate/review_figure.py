"""The review as a still figure, for executed notebooks and the report (the paper's Fig. S1)."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clipassistnet.alarm import State
from clipassistnet.annotate.judged_video import STATES, JudgedVideo
from clipassistnet.annotate.review import prepared
from clipassistnet.data.video_source import VideoSource
from clipassistnet.evaluation.events import GAP, Setting

LABEL_COLOURS = {"visible": "#0072b2", "invisible": "#d55e00", "absent": "#9aa2ad"}
STATE_COLOURS = {
    State.STANDBY: "#9aa2ad",
    State.VISIBLE: "#0072b2",
    State.NOT_VISIBLE: "#d55e00",
    State.NO_SIGNAL: "#e0c341",
}


def review_figure(
    video: str | Path | VideoSource,
    predictions: pd.DataFrame | str | Path,
    *,
    alarm: Setting | str | Path | None = None,
    phases: pd.DataFrame | None = None,
    thumbnails: int = 8,
) -> Figure:
    """Score, threshold, labels, alarms and phases of a video over time, with pictures above.

    The arguments are those of `review`; `thumbnails` pictures are spread evenly over the frames
    with a clip applier, or over all where no label says so.
    """
    source, judged, origin = prepared(video, predictions, alarm)
    heights = [1.4, 2.2, *[0.5] * (2 if phases is None else 3)]
    figure = plt.figure(figsize=(11, 1.1 * sum(heights)))
    rows = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    _draw_thumbnails(figure, rows[0], source, judged, thumbnails)
    score = figure.add_subplot(rows[1])
    _draw_score(score, judged, origin)
    strips = [("label", _label_runs(judged)), ("alarm", _state_runs(judged))]
    if phases is not None:
        strips.append(("phase", _phase_runs(phases, source.fps)))
    last = score
    for row, (name, runs) in enumerate(strips, 2):
        last.tick_params(labelbottom=False)
        last = figure.add_subplot(rows[row], sharex=score)
        _draw_strip(last, name, runs)
    last.set_xlabel(f"seconds of {source.video}")
    return figure


def _draw_thumbnails(figure, place, source: VideoSource, judged: JudgedVideo, count: int) -> None:
    frames = judged.frames[judged.frames["label"].isin(["visible", "invisible"])]
    frames = frames if len(frames) else judged.frames
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int))
    columns = place.subgridspec(1, len(chosen), wspace=0.03)
    shown = frames.iloc[chosen]
    pictures = source.pictures(shown["frame"].tolist())
    for column, (time, (picture, _)) in enumerate(zip(shown["time"], pictures, strict=True)):
        axes = figure.add_subplot(columns[column])
        axes.imshow(picture[:: max(1, picture.shape[0] // 180), :: max(1, picture.shape[0] // 180)])
        axes.set_title(f"{time:.1f} s", fontsize=10)
        axes.axis("off")


def _draw_score(axes: Axes, judged: JudgedVideo, origin: str) -> None:
    frames, setting = judged.frames, judged.setting
    clip = (frames["time"].diff() > GAP).cumsum()
    for _, rows in frames.groupby(clip):
        marker = "." if len(rows) == 1 else None
        axes.plot(rows["time"], rows["score"], color="black", linewidth=0.9, marker=marker)
    name = f"threshold {setting.threshold:.3g} ({origin})"
    axes.axhline(setting.threshold, color="tab:blue", label=name)
    ends = setting.threshold - setting.hysteresis
    axes.axhline(ends, color="tab:blue", linestyle="--", label=f"alarm ends below {ends:.3g}")
    axes.set(ylim=(-0.02, 1.02), ylabel="p(invisible)")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=10, frameon=False)


def _draw_strip(axes: Axes, name: str, runs: list[tuple[float, float, str, str]]) -> None:
    for start, seconds, colour, _ in runs:
        axes.broken_barh([(start, seconds)], (0, 1), color=colour)
    named = {words: colour for _, _, colour, words in runs}
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in named.values()]
    axes.legend(
        handles,
        named,
        loc="center left",
        bbox_to_anchor=(1, 0.5),
        fontsize=10,
        ncols=2,
        columnspacing=0.8,
        labelspacing=0.2,
        frameon=False,
    )
    axes.set(ylim=(0, 1), yticks=[], ylabel=name)
    axes.yaxis.label.set(rotation=0, ha="right", va="center")
    axes.grid(False)


def _label_runs(judged: JudgedVideo) -> list[tuple[float, float, str, str]]:
    labels = judged.frames["label"].to_numpy()
    return _runs(judged, labels, {label: (LABEL_COLOURS[label], label) for label in LABEL_COLOURS})


def _state_runs(judged: JudgedVideo) -> list[tuple[float, float, str, str]]:
    looks = {i: (STATE_COLOURS[state], state.value) for i, state in enumerate(STATES)}
    return _runs(judged, judged.states, looks)


def _runs(judged: JudgedVideo, values: np.ndarray, looks: dict) -> list[tuple]:
    """Start, length, colour and words of each run of equal values; a gap ends a run."""
    time = judged.frames["time"].to_numpy()
    step = np.diff(time)
    usual = float(np.median(step[step <= GAP])) if (step <= GAP).any() else GAP
    ends = np.flatnonzero(np.append((values[1:] != values[:-1]) | (step > GAP), True))
    found, start = [], 0
    for end in ends:
        if values[end] in looks:
            until = time[end + 1] if end + 1 < len(time) and step[end] <= GAP else time[end] + usual
            found.append((time[start], until - time[start], *looks[values[end]]))
        start = end + 1
    return found


def _phase_runs(phases: pd.DataFrame, fps: float) -> list[tuple[float, float, str, str]]:
    names = list(dict.fromkeys(phases["phase"]))
    colours = plt.get_cmap("Set2").colors
    return [
        (start / fps, (end - start) / fps, colours[names.index(name) % len(colours)], name)
        for start, end, name in phases[["start", "end", "phase"]].itertuples(index=False)
    ]
