"""Frames from files, for parity and calibration: the pixels that the frame cache and live see."""

from __future__ import annotations

import os
from typing import Iterator, Sequence

import numpy as np

from clipassistnet.transforms import resize


def read(paths: Sequence[str], number: int, size: int) -> np.ndarray:
    """At most `number` frames, evenly spread over the files: uint8 RGB (N, size, size, 3).

    A file is a .npy of the frame cache (uint8 RGB (N, H, W, 3)), a picture or a video. Pictures and
    videos need PyAV. Raises ValueError, naming the file, for any other, and where it is damaged.
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
    if not os.path.isfile(path):
        raise ValueError(f"{path}: no such file")
    if path.endswith(".npy"):
        return len(_array(path))
    return 1 if _is_image(path) else _count(path)


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


def _is_image(path: str) -> bool:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path):
            return True
    except UnidentifiedImageError:
        return False


def _count(path: str) -> int:
    """How many frames a video holds, by its packets: a header may be wrong after a cut."""
    decoding, av = _decoding(path)
    count = 0
    try:
        with decoding.open_video(path) as container:
            for packet in container.demux(decoding.video_stream(container, path)):
                count += bool(packet.size and not packet.is_corrupt and not packet.is_discard)
    except (av.FFmpegError, OSError) as error:
        if not count:
            expected = "neither a .npy of frames, nor a picture, nor a video"
            raise ValueError(f"{path}: {expected} ({error.strerror})") from error
        # What comes before the damage can be used.
    if not count:
        raise ValueError(f"{path}: a video without a frame")
    return count


def _frames(path: str, number: int) -> Iterator[np.ndarray]:
    if path.endswith(".npy"):
        frames = _array(path)
        yield from frames[_spread(len(frames), number)]
    elif _is_image(path):
        decoding, _ = _decoding(path)
        yield decoding.read_image(path)[0]
    else:
        yield from _video(path, number)


def _video(path: str, number: int) -> Iterator[np.ndarray]:
    decoding, av = _decoding(path)
    wanted, index = _spread(_count(path), number).tolist(), -1
    try:
        with decoding.open_video(path) as container:
            stream = decoding.video_stream(container, path)
            stream.thread_type = "AUTO"
            for index, frame in enumerate(container.decode(stream)):
                if index == wanted[0]:
                    yield decoding.picture(frame, path)[0]
                    del wanted[0]
                    if not wanted:
                        return
    except av.FFmpegError as error:
        raise ValueError(f"{path}: damaged after frame {index} ({error.strerror})") from error
    raise ValueError(f"{path}: ends after frame {index} (expected frame {wanted[0]})")


def _decoding(path: str):
    """The modules that decode; ValueError where PyAV is not installed."""
    try:
        import av

        from clipassistnet.data import decoding
    except ImportError as error:
        remedy = "pip install --no-deps av, or give .npy files of the frame cache"
        raise ValueError(f"{path}: needs PyAV and Pillow ({error}): {remedy}") from error
    return decoding, av


def _spread(length: int, number: int) -> np.ndarray:
    return np.unique(np.linspace(0, length - 1, number).astype(int))
