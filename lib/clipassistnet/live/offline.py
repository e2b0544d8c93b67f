"""The overlay video of a file: every frame, decided by its own time stamp."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import cv2
import numpy as np

from clipassistnet.live.history import History
from clipassistnet.live.journal import Journal
from clipassistnet.live.overlay import Overlay, View
from clipassistnet.live.picture_check import PictureCheck
from clipassistnet.live.progress import Progress
from clipassistnet.live.recorder import Writer, require_pyav
from clipassistnet.live.source import SourceError
from clipassistnet.live.state import Assistant, State
from clipassistnet.live.switches import Appearance

_BATCH = 16  # frames that go through the network at a time
_MISSING = 0.5  # seconds at the end of a file that are more than rounding, and a frame or two


class _Frame(NamedTuple):
    """A frame, BGR uint8 (H, W, 3), its time in the video, and why it cannot be scored."""

    time: float
    pixels: np.ndarray
    fault: str


def render(
    path: str,
    predict: Callable[[np.ndarray], np.ndarray],
    assistant: Assistant,
    out: str,
    journal: Journal | None = None,
    appearance: Appearance | None = None,
) -> dict:
    """Write the overlay video of the file `path` to `out` (Matroska); returns frames and seconds.

    `predict` scores uint8 RGB (N, H, W, 3); `appearance` arms by itself, else the assistant stays
    as it is. What the live loop decides by the clock is decided by the video's time stamps here,
    with the same rules; nothing is dropped, so a score's delay is none. Raises SourceError where
    the file breaks off, is shorter than it says or changes its size: what was written up to there
    stays and can be played. An error of the network ends the rendering.
    """
    require_pyav()
    writer, judge = None, _Judge(assistant, journal, appearance)
    with _open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        duration, rate = _duration(container, stream), _rate(stream)
        progress, frames, now = Progress(duration), 0, 0.0
        try:
            for batch in _batches(_decoded(container, stream, path)):
                scores = _scores(predict, batch)
                presences = _scores(appearance.predict, batch) if appearance else scores
                for frame, score, presence in zip(batch, scores, presences):
                    frames, now = frames + 1, frame.time
                    canvas = judge.canvas(frame, score, presence)
                    if writer is None:
                        writer = Writer(out, (canvas.shape[1], canvas.shape[0]), rate)
                    writer.write(canvas, now)
                progress.update(frames, now)
        finally:
            if writer is not None:
                writer.close()
        if duration is not None and duration - now > max(_MISSING, 2 / rate):
            raise SourceError(
                f"{path}: ends after {now:.2f} s, says that it is {duration:.2f} s long"
            )
        progress.update(frames, now, done=True)
    return {"frames": frames, "seconds": now}


def _open(path: str):
    import av

    try:
        container = av.open(path)
        if not container.streams.video:
            raise SourceError(f"{path}: holds no video")
    except av.error.FFmpegError as error:
        raise SourceError(f"{path}: cannot be opened as video ({error.strerror})") from error
    return container


def _duration(container, stream) -> float | None:
    """Seconds of the video as the file tells it, if it does; that of the sound may be another."""
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    return container.duration / 1e6 if container.duration else None


def _rate(stream) -> int:
    """Frames a second, a whole number of at least 1."""
    return max(1, round(stream.average_rate or 25))


def _decoded(container, stream, path: str) -> Iterator[_Frame]:
    import av

    check, first, last = PictureCheck(), None, -1.0
    try:
        for frame in container.decode(stream):
            if frame.time is None:
                raise SourceError(f"{path}: frame after {last:.2f} s has no time stamp")
            first = frame.time if first is None else first
            last = frame.time - first
            # Old releases of PyAV do not tell how a picture is turned.
            turns = getattr(frame, "rotation", 0) // 90
            pixels = np.ascontiguousarray(np.rot90(frame.to_ndarray(format="bgr24"), turns))
            fault = "damaged picture" if frame.is_corrupt else check.fault(pixels)
            if fault.startswith("wrong"):
                raise SourceError(f"{path}: at {last:.2f} s: {fault}")
            yield _Frame(last, pixels, fault)
    except av.error.FFmpegError as error:
        raise SourceError(f"{path}: breaks off after {last:.2f} s ({error.strerror})") from error


def _batches(frames: Iterator[_Frame]) -> Iterator[list[_Frame]]:
    batch = []
    try:
        for frame in frames:
            batch.append(frame)
            if len(batch) == _BATCH:
                yield batch
                batch = []
    except SourceError:
        yield batch  # the frames before the break
        raise
    if batch:
        yield batch


def _scores(predict: Callable[[np.ndarray], np.ndarray], batch: list[_Frame]) -> list[float]:
    """A score of each frame; NaN for those that cannot be scored."""
    scores = np.full(len(batch), np.nan)
    sound = [index for index, frame in enumerate(batch) if not frame.fault]
    if sound:
        pictures = [cv2.cvtColor(batch[index].pixels, cv2.COLOR_BGR2RGB) for index in sound]
        scores[sound] = predict(np.stack(pictures))
    return scores.tolist()


class _Judge:
    """Decides, draws and logs frame by frame."""

    def __init__(
        self, assistant: Assistant, journal: Journal | None, appearance: Appearance | None
    ) -> None:
        self._assistant, self._journal, self._appearance = assistant, journal, appearance
        self._overlay, self._history, self._count = None, History(), 0

    def canvas(self, frame: _Frame, score: float, presence: float) -> np.ndarray:
        """The canvas of the next frame, BGR uint8."""
        now, self._count = frame.time, self._count + 1
        self._overlay = self._overlay or Overlay(frame.pixels.shape[1::-1])
        self._assistant.picture(now, frame.fault)
        if not frame.fault:
            self._assistant.scored(now, score)
        self._arm(presence, now)
        decision = self._assistant.decide(now)
        self._history.add(now, score, decision.state)
        fields = {"state": decision.state.value, "cause": decision.cause}
        self._log("decision", now, picture=self._count, score=score, **fields)
        shown = math.nan if decision.state is State.NO_SIGNAL else self._assistant.score
        notes, threshold = f"offline   {now:.2f} s", self._assistant.alarm.threshold
        view = View(decision, shown, threshold, now, notes, fresh=True)
        return self._overlay.draw(frame.pixels, view, self._history)

    def _arm(self, presence: float, now: float) -> None:
        """Arm or disarm where a clip applier appeared or is gone."""
        if self._appearance is None:
            return
        self._appearance.scored(now, presence)
        order = self._appearance.poll()
        if order is not None and order != self._assistant.armed:
            self._assistant.armed = order
            self._log("armed" if order else "disarmed", now, by=self._appearance.name)

    def _log(self, event: str, now: float, **fields: object) -> None:
        if self._journal is not None:
            self._journal.write(event, now, **fields)
