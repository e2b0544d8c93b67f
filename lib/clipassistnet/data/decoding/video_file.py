"""Video files: how they are opened, which of their streams counts, and a frame's picture."""

from __future__ import annotations

import os
from typing import Any

import av
import numpy as np
from av.container import InputContainer

from clipassistnet.data.decoding.colour import rgb
from clipassistnet.data.decoding.errors import FrameError
from clipassistnet.data.decoding.orientation import upright

# FFmpeg's flags of a stream (libavformat/avformat.h).
DEFAULT, ATTACHED_PICTURE, TIMED_THUMBNAILS = 0x0001, 0x0400, 0x0800
STILL = ("mjpeg", "png", "bmp", "gif", "tiff", "webp")


def open_video(path: str) -> InputContainer:
    """Open a video file for reading. Errors are those of PyAV (av.FFmpegError)."""
    # A relative name with a colon, such as "rec:1.mp4", would be taken for a protocol. Titles and
    # other metadata may be damaged or in any encoding; they are not used.
    return av.open(os.path.abspath(path), metadata_errors="replace")


def video_stream(container: InputContainer, path: str) -> Any:
    """The video stream whose frames count.

    Attached pictures (covers, thumbnails) are no video. Of several streams it is the one that the
    file marks as the default, if exactly one is marked, and otherwise the first.

    Raises:
        FrameError: where the file has no video stream.
    """
    streams = _streams(container)
    if not streams:
        raise FrameError(f"{path}: holds no video stream")
    marked = [stream for stream in streams if _disposition(stream) & DEFAULT]
    return marked[0] if len(marked) == 1 else streams[0]


def stream_note(container: InputContainer, path: str) -> str:
    """Which of several video streams is decoded; empty where there is only one."""
    streams = _streams(container)
    if len(streams) < 2:
        return ""
    number = streams.index(video_stream(container, path)) + 1
    return f"video stream {number} of {len(streams)}"


def picture(frame: av.VideoFrame, path: str) -> tuple[np.ndarray, str]:
    """The picture of a decoded frame, as it should be shown.

    Args:
        frame: of `video_stream`.
        path: of its file, for messages.

    Returns:
        uint8 RGB (H, W, 3), and what was done to make it upright ("turned by 180 degrees",
        "mirrored left-right"); empty for a frame that is stored upright.

    Raises:
        FrameError: where it is turned by anything but quarter turns, or where PyAV is too old for
            its colours.
    """
    try:
        image = rgb(frame)
    except FrameError as error:
        raise FrameError(f"{path}: {error}") from error
    return upright(image, frame, path)


def _streams(container: InputContainer) -> list[Any]:
    streams = list(container.streams.video)
    if not any(hasattr(stream, "disposition") for stream in streams):
        # PyAV on Python 3.8 has no such flags: beside a video, a picture's codec means a picture.
        return [stream for stream in streams if stream.codec_context.name not in STILL] or streams
    still = ATTACHED_PICTURE | TIMED_THUMBNAILS
    return [stream for stream in streams if not _disposition(stream) & still]


def _disposition(stream: Any) -> int:
    return int(getattr(stream, "disposition", 0))
