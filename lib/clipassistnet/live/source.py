"""Where pictures come from: a file, a camera, a GStreamer pipeline or a network stream."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable
from typing import Protocol

import cv2
import numpy as np

from clipassistnet.live.errors import SourceError

_OPEN_MS, _READ_MS = 3000, 1000  # OpenCV waits 30 seconds for a network stream by default


class Source(Protocol):
    """An open source. `finite`: its end is no fault. `fault`: of the last picture, or ""."""

    finite: bool
    fault: str

    def read(self) -> np.ndarray | None:
        """The next picture, BGR uint8 (H, W, 3); None where there is no more."""

    def close(self) -> None:
        """Close the source."""


class OpenCVSource:
    """A camera, a pipeline or a stream; and a file where PyAV is not installed."""

    fault = ""

    def __init__(self, capture: cv2.VideoCapture, finite: bool = False) -> None:
        self._capture, self.finite = capture, finite
        fps = capture.get(cv2.CAP_PROP_FPS) if finite else 0
        # A file is played at its own pace, as a camera would.
        self._interval = 1 / fps if 0 < fps < 1000 else 0.04 if finite else 0.0
        self._due = time.monotonic()

    def read(self) -> np.ndarray | None:
        """The next picture, BGR uint8 (H, W, 3); None where there is no more."""
        if self.finite:
            time.sleep(max(0.0, self._due - time.monotonic()))
            self._due += self._interval
        good, frame = self._capture.read()
        return frame if good else None

    def close(self) -> None:
        """Close the source."""
        self._capture.release()


class FileSource:
    """A video file, decoded as for the frame cache, played at its own pace (needs PyAV)."""

    finite, fault = True, ""

    def __init__(self, path: str) -> None:
        """SourceError where the file cannot be opened as video."""
        from clipassistnet.live.video_file import VideoFile

        self._video = VideoFile(path)
        self._frames = self._video.frames()
        self._start: float | None = None

    def read(self) -> np.ndarray | None:
        """The next picture, BGR uint8 (H, W, 3); None at the end, or where the file is damaged."""
        try:
            frame = next(self._frames, None)
        except SourceError as error:
            print(error, file=sys.stderr, flush=True)
            return None
        if frame is None:
            return None
        if self._start is None:
            self._start = time.monotonic() - frame.time
        time.sleep(max(0.0, self._start + frame.time - time.monotonic()))
        self.fault = frame.fault
        return frame.pixels

    def close(self) -> None:
        """Close the file."""
        self._video.close()


def opener(name: str, size: tuple[int, int] | None = None) -> Callable[[], Source]:
    """A function that opens the source of this name, and opens it again when it was lost.

    Args:
        name: a camera's index; a GStreamer pipeline (with " ! " in it); an address such as
            rtsp://...; or a file.
        size: width and height that a camera should give.

    Raises:
        SourceError: the source can never work. The function raises it for what may work later.
    """
    public = without_password(name)
    if name.isdigit():
        return lambda: OpenCVSource(_camera(int(name), size))
    if " ! " in name:
        if not _built_with("GStreamer"):
            raise SourceError(
                "this OpenCV has no GStreamer: use the one that came with JetPack or with the "
                "distribution (python3-opencv), not one of a package registry; or give the "
                "camera's index or an rtsp:// address"
            )
        return lambda: OpenCVSource(_opened(cv2.VideoCapture(name, cv2.CAP_GSTREAMER), public))
    if "://" in name:
        limits = [
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
            _OPEN_MS,
            cv2.CAP_PROP_READ_TIMEOUT_MSEC,
            _READ_MS,
        ]
        return lambda: OpenCVSource(_opened(cv2.VideoCapture(name, cv2.CAP_FFMPEG, limits), public))
    if not os.path.isfile(name):
        raise SourceError(f"{name}: no such file")
    return _file_opener(name)


def _file_opener(path: str) -> Callable[[], Source]:
    """The opener of a video file, which is opened here to see whether it can be."""
    try:
        FileSource(path).close()
        return lambda: FileSource(path)
    except ImportError:
        note = "PyAV is not installed: OpenCV decodes it, in colours that may differ"
        print(f"{path}: {note}", file=sys.stderr)
    _opened(cv2.VideoCapture(path), path).release()
    return lambda: OpenCVSource(_opened(cv2.VideoCapture(path), path), finite=True)


def without_password(name: str) -> str:
    """A source's name for screen and log.

    It lacks the user and password of an address, and the value of password=... and its like.
    """
    name = re.sub(r"//[^/\s]*@", "//", name)
    return re.sub(r"(?i)\b(password|passwd|pwd|user-pw)=[^&\s]*", r"\1=", name)


def _camera(index: int, size: tuple[int, int] | None) -> cv2.VideoCapture:
    capture = _opened(cv2.VideoCapture(index), f"camera {index}")
    if size is not None:
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
    return capture


def _opened(capture: cv2.VideoCapture, name: str) -> cv2.VideoCapture:
    if not capture.isOpened():
        capture.release()
        raise SourceError(f"{name}: cannot be opened as video")
    return capture


def _built_with(feature: str) -> bool:
    lines = cv2.getBuildInformation().splitlines()
    return any(line.strip().startswith(feature + ":") and "YES" in line for line in lines)
