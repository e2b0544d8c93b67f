"""Frames from files, for parity and calibration on a device that has OpenCV and no more."""

from __future__ import annotations

from typing import Iterator, Sequence

import cv2
import numpy as np

from clipassistnet.transforms import resize


def read(paths: Sequence[str], number: int, size: int) -> np.ndarray:
    """At most `number` frames, evenly spread over the files: uint8 RGB (N, size, size, 3).

    A file is a .npy of the frame cache (uint8 RGB (N, H, W, 3)), a picture or a video. Raises
    ValueError, naming the file, where it is none of these.
    """
    share = -(-number // max(1, len(paths)))
    found = [resize(frame, size) for path in paths for frame in _frames(path, share)]
    if not found:
        raise ValueError("no file of frames was given")
    return np.stack(found)[:number]


def _frames(path: str, number: int) -> Iterator[np.ndarray]:
    if path.endswith(".npy"):
        try:
            frames = np.load(path, mmap_mode="r")
        except (ValueError, EOFError) as error:
            raise ValueError(f"{path}: cannot be read as a .npy of frames ({error})") from error
        if frames.dtype != np.uint8 or frames.shape[3:] != (3,) or not frames.size:
            raise ValueError(
                f"{path}: {frames.dtype} {frames.shape}, expected uint8 (N, H, W, 3) in RGB"
            )
        yield from frames[_spread(len(frames), number)]
        return
    picture = cv2.imread(path)
    if picture is not None:
        yield cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        return
    yield from _video(path, number)


def _video(path: str, number: int) -> Iterator[np.ndarray]:
    capture = cv2.VideoCapture(path)
    if not capture.isOpened():
        raise ValueError(
            f"{path}: neither a .npy of frames, nor a picture or video OpenCV can read"
        )
    wanted = set(_spread(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), number).tolist())
    for index in range(max(wanted) + 1):
        if not capture.grab():
            raise ValueError(f"{path}: ends at frame {index}, says that it is longer")
        if index in wanted:
            yield cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB)
    capture.release()


def _spread(length: int, number: int) -> np.ndarray:
    return np.unique(np.linspace(0, length - 1, number).astype(int))
