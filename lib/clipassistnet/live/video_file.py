"""The frames of a video file, decoded as for the frame cache; needs PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import av
import numpy as np

from clipassistnet.data import decoding
from clipassistnet.live.errors import SourceError


class Frame(NamedTuple):
    """A frame, BGR uint8 (H, W, 3), its time in seconds since the first, and its fault if any."""

    time: float
    pixels: np.ndarray
    fault: str


class VideoFile:
    """A video file that is open.

    Attributes:
        duration: seconds of the video by the file's header; None where it does not say.
        rate: frames a second, rounded, at least 1.
        note: which stream is decoded, where there are several.
    """

    def __init__(self, path: str) -> None:
        """SourceError where the file cannot be opened as video."""
        self._path = path
        try:
            self._container = decoding.open_video(path)
            self._stream = decoding.video_stream(self._container, path)
        except (av.FFmpegError, decoding.FrameError, OSError) as error:
            reason = getattr(error, "strerror", None) or error
            raise SourceError(f"{path}: cannot be opened as video ({reason})") from error
        self._stream.thread_type = "AUTO"
        self.note = decoding.stream_note(self._container, path)
        self.rate = max(1, round(self._stream.average_rate or 25))
        self.duration = self._duration()

    def frames(self) -> Iterator[Frame]:
        """Every frame in order. SourceError where the file is damaged, with the last good time."""
        first, last = None, -1.0
        try:
            for frame in self._container.decode(self._stream):
                if frame.time is None:
                    raise SourceError(f"{self._path}: frame after {last:.2f} s has no time stamp")
                first = frame.time if first is None else first
                last = frame.time - first
                pixels, _ = decoding.picture(frame, self._path)
                fault = "damaged picture" if frame.is_corrupt else ""
                yield Frame(last, np.ascontiguousarray(pixels[..., ::-1]), fault)
        except av.FFmpegError as error:
            reason = f"breaks off after {last:.2f} s ({error.strerror})"
            raise SourceError(f"{self._path}: {reason}") from error
        except decoding.FrameError as error:
            raise SourceError(str(error)) from error

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _duration(self) -> float | None:
        # The stream's own: the sound may be longer.
        if self._stream.duration is not None and self._stream.time_base is not None:
            return float(self._stream.duration * self._stream.time_base)
        return self._container.duration / 1e6 if self._container.duration else None
