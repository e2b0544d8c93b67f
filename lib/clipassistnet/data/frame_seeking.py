"""Decodes chosen frames of a video, found by their presentation time stamps."""

from collections.abc import Iterator
from itertools import islice

import av
import numpy as np

from clipassistnet.data.decoding import FrameError, open_video, picture, video_stream
from clipassistnet.data.timeline import Timeline


def pictures(line: Timeline, wanted: np.ndarray) -> Iterator[tuple[np.ndarray, str]]:
    """Decode the pictures of these time stamps, and jump over parts that are not wanted.

    Args:
        line: the timeline of the file.
        wanted: time stamps (N,) of `line.pts`, ascending, each once.

    Yields:
        N times uint8 RGB (H,W,3), upright, and what was done to make it so (see
        `decoding.picture`).

    Raises:
        FrameError: at the first wanted frame that is damaged, missing or out of order; it names the
            last good frame. Damage that leaves the stream valid is not noticed, because H.264 has
            no check sums.
    """
    done = 0
    try:
        for found in _jump_and_decode(line, wanted):
            yield found
            done += 1
    except FrameError:
        if not line.keyframes.size:
            raise
        # A jump may miss its frame although the frames are sound: decode from the start before
        # calling the file damaged.
        yield from islice(_decode_from_here(line, wanted, None), done, None)


def _jump_and_decode(line: Timeline, wanted: np.ndarray) -> Iterator[tuple[np.ndarray, str]]:
    nearest = np.searchsorted(line.keyframes, wanted, side="right") - 1
    for run in np.split(wanted, np.flatnonzero(np.diff(nearest) > 1) + 1):
        key = np.searchsorted(line.keyframes, run[0], side="right") - 1
        yield from _decode_from_here(line, run, line.keyframes[key] if key >= 0 else None)


def _decode_from_here(
    line: Timeline, wanted: np.ndarray, start: int | None
) -> Iterator[tuple[np.ndarray, str]]:
    """Decode from the key frame `start` (None: from the beginning) to the last wanted frame."""
    last, damaged, targets = None, False, iter(wanted.tolist())
    target = next(targets)
    try:
        with open_video(line.path) as container:
            stream = video_stream(container, line.path)
            # With one thread, damage is reported at the damaged frame.
            stream.codec_context.thread_count = 1
            if start is not None:
                container.seek(int(start), stream=stream)
            for frame in container.decode(stream):
                if frame.pts is None or (last is not None and frame.pts <= last):
                    raise line.failure(last, "time stamps do not increase")
                # Frames that refer to a damaged frame are damaged, up to the next key frame.
                damaged = frame.is_corrupt or (damaged and not frame.key_frame)
                if frame.pts > target or (frame.pts == target and damaged):
                    raise line.failure(last, f"frame {line.index(target)} is damaged or missing")
                if frame.pts == target:
                    yield picture(frame, line.path)
                    target = next(targets, None)
                    if target is None:
                        return
                last = last if damaged else frame.pts
    except av.FFmpegError as error:
        raise line.failure(last, f"undecodable ({error.strerror})") from error
    raise line.failure(last, f"ends before frame {line.index(target)}")
