"""Frames from files, for parity and calibration, read with OpenCV alone as on a Jetson."""

from __future__ import annotations

from typing import Iterator, Sequence

import cv2
import numpy as np

from clipassistnet.transforms import resize


def read(paths: Sequence[str], number: int, size: int) -> np.ndarray:
    """At most `number` frames, evenly spread over the files: uint8 RGB (N, size, size, 3).

    A file is a .npy of the frame cache (uint8 RGB (N, H, W, 3)), a picture or a video. Raises
    ValueError, naming the file, for any other.
    """
    counts = _shares([_length(path) for path in paths], number)
    found = [
        resize(frame, size)
        for path, count in zip(paths, counts)
        if count
        for frame in _frames(path, count)
    ]
    if not found:
        raise ValueError("no file of frames was given")
    return np.stack(found)


def _shares(lengths: list[int], number: int) -> list[int]:
    """How many of `number` frames each file gives: equal numbers, as far as each has them.

    Where there are more files than frames, the files that give one are evenly spread.
    """
    shares = [0] * len(lengths)
    while number > 0:
        open_ = [i for i, length in enumerate(lengths) if shares[i] < length]
        if not open_:
            break
        for place in _spread(len(open_), min(number, len(open_))):
            shares[open_[place]] += 1
            number -= 1
    return shares


def _length(path: str) -> int:
    """How many frames a file holds."""
    if path.endswith(".npy"):
        return len(_array(path))
    return 1 if cv2.haveImageReader(path) else _count(path)


def _array(path: str) -> np.ndarray:
    try:
        frames = np.load(path, mmap_mode="r")
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path}: cannot be read as a .npy of frames ({error})") from error
    if frames.dtype != np.uint8 or frames.shape[3:] != (3,) or not frames.size:
        raise ValueError(
            f"{path}: {frames.dtype} {frames.shape}, expected uint8 (N, H, W, 3) in RGB"
        )
    return frames


def _count(path: str) -> int:
    """How many frames a video holds; they are counted where its header does not say."""
    capture = _opened(path)
    stated = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    if stated < 1:  # the header of a recording that was cut off
        stated = 0
        while capture.grab():
            stated += 1
    capture.release()
    if not stated:
        raise ValueError(f"{path}: a video without a frame")
    return stated


def _opened(path: str) -> cv2.VideoCapture:
    capture = cv2.VideoCapture(path)
    if not capture.isOpened():
        raise ValueError(
            f"{path}: neither a .npy of frames, nor a picture or video OpenCV can read"
        )
    return capture


def _frames(path: str, number: int) -> Iterator[np.ndarray]:
    if path.endswith(".npy"):
        frames = _array(path)
        yield from frames[_spread(len(frames), number)]
        return
    picture = cv2.imread(path)
    if picture is not None:
        yield cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        return
    yield from _video(path, number)


def _video(path: str, number: int) -> Iterator[np.ndarray]:
    wanted, capture = set(_spread(_count(path), number).tolist()), _opened(path)
    for index in range(max(wanted) + 1):
        if not capture.grab():
            raise ValueError(f"{path}: ends at frame {index}, but its header gives more")
        if index in wanted:
            yield cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB)
    capture.release()


def _spread(length: int, number: int) -> np.ndarray:
    return np.unique(np.linspace(0, length - 1, number).astype(int))
