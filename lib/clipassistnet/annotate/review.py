"""The review: a video with its score, labels, alarms and phases, to be scrubbed and played."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from clipassistnet.annotate import videos
from clipassistnet.annotate.errors import AnnotateError
from clipassistnet.annotate.judged_video import STATES, JudgedVideo, judge, setting_of
from clipassistnet.annotate.picture_widget import PictureWidget, script
from clipassistnet.data.csv_tables import read_result
from clipassistnet.data.schema import LABELS
from clipassistnet.data.video_source import VideoSource
from clipassistnet.evaluation.events import Setting


class Review(PictureWidget):
    """One video with its predictions. `review` makes it."""

    _esm = script("review.js")

    def __init__(
        self, source: VideoSource, judged: JudgedVideo, origin: str, phases: pd.DataFrame | None
    ) -> None:
        self._source, self._frozen, self._origin, self._phases = source, judged, origin, phases
        self._shown = judged
        length = source.length
        self._frames = judged.frames["frame"].tolist() if length is None else [*range(length)]
        super().__init__({source.video: source}, [(source.video, f) for f in self._frames])

    def start_state(self) -> dict[str, Any]:
        phases = self._phases
        return {
            "video": self._source.video,
            "fps": self._source.fps,
            "places": len(self._frames),
            "frames": None if self._source.length else self._frames,
            "labels": [*LABELS],
            "states": [state.value for state in STATES],
            "origin": self._origin,
            "phases": []
            if phases is None
            else phases[["start", "end", "phase"]].to_numpy().tolist(),
        }

    def handle(self, message: dict[str, Any]) -> None:
        if message["type"] == "curve":
            self._send_curve(self._frozen)
        elif message["type"] == "threshold":
            threshold = min(max(float(message["value"]), 0.01), 1.0)
            hysteresis = min(self._frozen.setting.hysteresis, threshold / 2)
            setting = Setting(threshold, hysteresis, self._frozen.setting.minimum_duration)
            self._send_curve(judge(self._frozen.frames, self._source.fps, setting))
        elif message["type"] == "frozen":
            self._send_curve(self._frozen)

    def _send_curve(self, judged: JudgedVideo) -> None:
        frames = judged.frames
        label = frames["label"].map({name: i for i, name in enumerate(LABELS)}).fillna(255)
        about = {
            "type": "curve",
            "setting": list(judged.setting),
            "exploratory": judged is not self._frozen,
            "rates": judged.rates(),
            "moments": judged.moments(),
        }
        columns = (
            frames["frame"].to_numpy(np.int32),
            frames["score"].to_numpy(np.float32),
            label.to_numpy(np.uint8),
            judged.states,
        )
        self.tell(about, [column.tobytes() for column in columns])


def review(
    video: str | Path | VideoSource,
    predictions: pd.DataFrame | str | Path,
    *,
    alarm: Setting | str | Path | None = None,
    phases: pd.DataFrame | None = None,
) -> Review:
    """A video with its predictions as a widget: score, labels, alarms and phases below it.

    The states are those that `clipassistnet live --offline` shows, armed from the start.

    Args:
        video: a video file, or the source of a dataset's video (`data.video_source.source`).
        predictions: frame, score p(invisible) and, where known, label; of a table with several
            videos the rows of this one. A table or its file (.parquet, .csv).
        alarm: alarm.json of notebook 08, or its numbers. None: the defaults of live.
        phases: start, end and phase of this video, in frames.

    Raises:
        AnnotateError, FrameError: the message says what is wrong and what is expected.
    """
    source, judged, origin = prepared(video, predictions, alarm)
    return Review(source, judged, origin, phases)


def prepared(
    video: str | Path | VideoSource,
    predictions: pd.DataFrame | str | Path,
    alarm: Setting | str | Path | None,
) -> tuple[VideoSource, JudgedVideo, str]:
    """The source of a video, its judged frames, and where the alarm's numbers are from."""
    if not isinstance(video, VideoSource):
        video = videos.source_of(Path(video))
    if not isinstance(predictions, pd.DataFrame):
        predictions = read_result(predictions)
    if "video" in predictions and predictions["video"].nunique() > 1:
        predictions = predictions[predictions["video"] == video.video]
        if predictions.empty:
            raise AnnotateError(f"predictions: no row of the video {video.video!r}")
    setting, origin = setting_of(alarm)
    return video, judge(predictions, video.fps, setting), origin
