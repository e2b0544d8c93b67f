"""The overlay video of a file: every frame, decided by its own time stamp."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from clipassistnet.alarm import Assistant
from clipassistnet.live.arming import AutomaticArming
from clipassistnet.live.errors import SourceError
from clipassistnet.live.journal import Journal
from clipassistnet.live.picture_check import PictureCheck
from clipassistnet.live.recorder import Writer, require_pyav
from clipassistnet.live.session import Picture, Score, Session

if TYPE_CHECKING:
    from clipassistnet.live.video_file import Frame

_BATCH = 16  # frames that go through the network at once
_MISSING = 0.5  # seconds at the end of a file that are more than rounding, and a frame or two


class Rendered(NamedTuple):
    """Frames in an overlay video, and the time stamp of the last one in seconds."""

    frames: int
    seconds: float


def render(
    path: str,
    predict: Callable[[np.ndarray], np.ndarray],
    assistant: Assistant,
    out: str,
    journal: Journal | None = None,
    arming: AutomaticArming | None = None,
    *,
    training: str = "",
) -> Rendered:
    """Write the overlay video of the file `path` to `out` (Matroska).

    The states are those of the live loop, but by the video's time stamps instead of the clock: no
    frame is dropped, and a score has no delay. `predict` scores uint8 RGB (N, H, W, 3). Without
    `arming` the assistant stays armed or not, as it is. `training` says on the overlay what the
    network was trained on.

    Raises:
        SourceError: the file is damaged, ends early or changes its size. What was written until
            then remains and can be played. Errors of the network are raised as they are.
    """
    require_pyav()
    from clipassistnet.live.video_file import VideoFile

    log = journal.write if journal else None
    session = Session(assistant, arming=arming, log=log, training=training)
    with contextlib.closing(VideoFile(path)) as video:
        writer, progress, frames, now = None, _Progress(video.duration), 0, 0.0
        try:
            for batch in _batches(_checked(video.frames(), path)):
                for score in _scores(batch, predict, arming):
                    canvas = _step(session, score, journal)
                    if writer is None:
                        writer = Writer(out, (canvas.shape[1], canvas.shape[0]), video.rate)
                    frames, now = score.picture.number, score.picture.arrival
                    writer.write(canvas, now)
                progress.update(frames, now)
        finally:
            if writer is not None:
                writer.close()
    if not frames:
        raise SourceError(f"{path}: holds no picture")
    if video.duration is not None and video.duration - now > max(_MISSING, 2 / video.rate):
        header = f"its header says {video.duration:.2f} s"
        raise SourceError(f"{path}: ends after {now:.2f} s, {header}")
    progress.update(frames, now, done=True)
    return Rendered(frames, now)


def _step(session: Session, score: Score, journal: Journal | None) -> np.ndarray:
    """The canvas of the next frame, BGR uint8; a faulty frame has no score."""
    picture = score.picture
    now = picture.arrival
    session.take(now, picture, [] if picture.fault else [score])
    decision = session.decide(now)
    if journal is not None:
        fields = {"state": decision.state.value, "cause": decision.cause}
        journal.write("decision", now, picture=picture.number, score=score.value, **fields)
    return session.canvas(decision, now, [f"offline   {now:.2f} s"])


def _checked(frames: Iterator[Frame], path: str) -> Iterator[Picture]:
    check = PictureCheck()
    for number, frame in enumerate(frames, start=1):
        fault = frame.fault or check.fault(frame.pixels)
        if fault.startswith("wrong"):
            raise SourceError(f"{path}: at {frame.time:.2f} s: {fault}")
        yield Picture(number, frame.time, frame.pixels, fault)


def _batches(pictures: Iterator[Picture]) -> Iterator[list[Picture]]:
    batch: list[Picture] = []
    try:
        for picture in pictures:
            batch.append(picture)
            if len(batch) == _BATCH:
                yield batch
                batch = []
    except SourceError:
        yield batch  # the frames before the break
        raise
    if batch:
        yield batch


def _scores(
    batch: list[Picture],
    predict: Callable[[np.ndarray], np.ndarray],
    arming: AutomaticArming | None,
) -> list[Score]:
    """A score of each picture; NaN for those with a fault."""
    values = np.full((2, len(batch)), np.nan)
    usable = [index for index, picture in enumerate(batch) if not picture.fault]
    if usable:
        frames = np.stack([_rgb(batch[index]) for index in usable])
        values[0, usable] = predict(frames)
        if arming:
            values[1, usable] = arming.predict(frames)
    return [
        Score(picture, value, clip_applier=clip_applier)
        for picture, value, clip_applier in zip(batch, *values.tolist())
    ]


def _rgb(picture: Picture) -> np.ndarray:
    assert picture.frame is not None, "every frame of a file has pixels"
    return cv2.cvtColor(picture.frame, cv2.COLOR_BGR2RGB)


class _Progress:
    """A bar in a terminal, a line every tenth in a log; `duration` in seconds, None if unknown."""

    def __init__(self, duration: float | None) -> None:
        self._duration, self._start = duration, time.monotonic()
        self._terminal = sys.stderr.isatty()
        self._shown_at, self._tenths = 0.0, 0

    def update(self, frames: int, seconds: float, done: bool = False) -> None:
        """Show that this many frames are written, up to this time of the video."""
        now = time.monotonic()
        share = min(1.0, seconds / self._duration) if self._duration else 0.0
        tenths = 10 if done else int(10 * share)
        due = now - self._shown_at > 0.2 if self._terminal else tenths > self._tenths
        if done or due:
            self._shown_at, self._tenths = now, tenths
            self._show(self._text(frames, seconds, 1.0 if done else share, now), done)

    def _text(self, frames: int, seconds: float, share: float, now: float) -> str:
        spent = now - self._start
        pace = f"{frames / spent:.1f} frames/s, {seconds / spent:.2f} x real time"
        if not self._duration:
            return f"{frames} frames, length unknown, {pace}"
        filled = round(30 * share)
        left = f", {spent * (1 - share) / share:.0f} s left" if 0 < share < 1 else ""
        return f"[{'#' * filled}{'.' * (30 - filled)}] {share:4.0%} {frames} frames, {pace}{left}"

    def _show(self, text: str, done: bool) -> None:
        if self._terminal:
            sys.stderr.write(f"\r{text:<100}" + ("\n" if done else ""))
        else:
            sys.stderr.write(text + "\n")
        sys.stderr.flush()
