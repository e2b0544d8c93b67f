"""Decodes chosen frames of a video, found by their presentation time stamps."""

from collections.abc import Iterator
from itertools import islice

import av
import numpy as np

from clipassistnet.data.timeline import FrameError, Timeline, open_video


def pictures(line: Timeline, wanted: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
    """Decode the pictures of these time stamps, jumping over key frames nobody asks for.

    Args:
        line: of the file.
        wanted: time stamps (N,), ascending and each once, out of `line.pts`.

    Yields:
        N times uint8 RGB (H,W,3), turned upright, and the degrees it was turned.

    Raises:
        FrameError: naming the last good frame, at the first wanted frame that is damaged, missing
            or out of order. A damage that leaves the stream valid is not seen: H.264 carries no
            check sums.
    """
    done = 0
    try:
        for picture in _jump_and_decode(line, wanted):
            yield picture
            done += 1
    except FrameError:
        if not line.keyframes.size:
            raise
        # A jump may miss where the frames themselves are sound: decode from the start before the
        # file is called damaged.
        yield from islice(_decode_from_here(line, wanted, None), done, None)


def _jump_and_decode(line: Timeline, wanted: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
    nearest = np.searchsorted(line.keyframes, wanted, side="right") - 1
    for run in np.split(wanted, np.flatnonzero(np.diff(nearest) > 1) + 1):
        key = np.searchsorted(line.keyframes, run[0], side="right") - 1
        yield from _decode_from_here(line, run, line.keyframes[key] if key >= 0 else None)


def _decode_from_here(
    line: Timeline, wanted: np.ndarray, start: int | None
) -> Iterator[tuple[np.ndarray, int]]:
    """Decode from the key frame `start` (None: from the beginning) to the last wanted frame."""
    last, damaged, targets = None, False, iter(wanted.tolist())
    target = next(targets)
    try:
        with open_video(line.path) as container:
            stream = container.streams.video[0]
            # One thread reports damage at the frame it befell.
            stream.codec_context.thread_count = 1
            if start is not None:
                container.seek(int(start), stream=stream)
            for frame in container.decode(stream):
                if frame.pts is None or (last is not None and frame.pts <= last):
                    raise line.failure(last, "time stamps do not increase")
                # What refers to a damaged frame is damaged, up to the next key frame.
                damaged = frame.is_corrupt or (damaged and not frame.key_frame)
                if frame.pts > target or (frame.pts == target and damaged):
                    raise line.failure(last, f"frame {line.index(target)} is damaged or missing")
                if frame.pts == target:
                    yield _upright(frame, line.path)
                    target = next(targets, None)
                    if target is None:
                        return
                last = last if damaged else frame.pts
    except av.FFmpegError as error:
        raise line.failure(last, f"undecodable ({error.strerror})") from error
    raise line.failure(last, f"ends before frame {line.index(target)}")


def _upright(frame: av.VideoFrame, path: str) -> tuple[np.ndarray, int]:
    if frame.rotation % 90:
        raise FrameError(
            f"{path}: turned by {frame.rotation} degrees: only quarter turns are handled"
        )
    return np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90), frame.rotation
