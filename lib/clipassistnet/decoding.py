"""Decodes chosen frames of a video, found by their presentation time stamps."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

import av
import numpy as np

# Containers with an index of time stamps, where a jump lands where it should.
INDEXED = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")


class FrameError(Exception):
    """A frame that cannot be had; names the file, and the last good frame where there is one."""


@dataclass(frozen=True)
class Timeline:
    """When the frames of a video are shown, in ticks of `tick` seconds.

    `fps` is the declared rate: frame i is the picture on the screen at i / fps seconds after the
    first one, so that a variable-frame-rate file has the same indices as its constant-rate copy.
    """

    path: str
    fps: float
    tick: float
    pts: np.ndarray  # (F,) int64, ascending
    keyframes: np.ndarray  # (K,) int64, ascending; empty where jumping is not safe
    end: int  # where the last frame ends

    @property
    def length(self) -> int:
        """Number of frames at the declared rate."""
        # A container with a coarse tick (Matroska: 1 ms) rounds both ends: 1.5 ticks are no frame.
        return int(np.ceil((self.end - self.pts[0] - 1.5) * self.tick * self.fps))

    def shown_at(self, frames: np.ndarray) -> np.ndarray:
        """Time stamps (N,) of the pictures shown at these frame indices (N,), ascending."""
        outside = [int(frame) for frame in frames if not 0 <= frame < self.length]
        if outside:
            raise FrameError(f"{self.path}: no frame {outside[0]} (0 to {self.length - 1})")
        # Half a tick of tolerance: time stamps are rounded to ticks.
        times = self.pts[0] + np.asarray(frames) / (self.fps * self.tick) + 0.5 + 1e-3
        return self.pts[np.searchsorted(self.pts, times, side="right") - 1]

    def index(self, pts: int) -> int:
        """Frame index at which this time stamp is first shown."""
        return int(np.ceil((pts - self.pts[0] - 0.5) * self.tick * self.fps))


def timeline(path: str, fps: float) -> Timeline:
    """Read when each frame of a video file is shown, without decoding it.

    Args:
        path: the video file.
        fps: the declared rate on which frames are counted.

    Raises:
        FrameError: where the file is no video, is empty, ends before its index or carries no
            usable time stamps.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        raise FrameError(f"{path}: {error.strerror}") from error
    return _timeline(path, fps, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=32)
def _timeline(path: str, fps: float, size: int, _modified: int) -> Timeline:
    if size == 0:
        raise FrameError(f"{path}: the file is empty (0 bytes)")
    packets = []
    try:
        with av.open(path) as container:
            stream = container.streams.video[0]
            tick, indexed = float(stream.time_base), container.format.name in INDEXED
            if container.format.name == "avi" and stream.codec_context.has_b_frames:
                raise FrameError(f"{path}: AVI has no time stamps for B-frames: convert it to MP4")
            for packet in container.demux(stream):
                if packet.size and not packet.is_discard:
                    flags = (packet.is_keyframe, packet.is_corrupt)
                    packets.append((packet.pts, packet.duration, *flags))
    except IndexError as error:
        raise FrameError(f"{path}: holds no video stream") from error
    except av.FFmpegError as error:
        raise FrameError(f"{path}: {_unreadable(path, packets, error)}") from error
    # A file that ends within a frame hands out the part that is there.
    while packets and packets[-1][3]:
        packets.pop()
    if not packets:
        raise FrameError(f"{path}: holds no frame (cut off before its first one)")
    if any(packet[0] is None for packet in packets):
        raise FrameError(f"{path}: frames without presentation time stamps: convert it to MP4")
    pts, duration, keyframe, _ = (np.array(column) for column in zip(*packets, strict=True))
    end = pts.max() + (duration[pts.argmax()] or round(1 / (fps * tick)))
    keyframes = np.unique(pts[keyframe]) if indexed else pts[:0]
    return Timeline(path, fps, tick, np.unique(pts), keyframes, int(end))


def _unreadable(path: str, packets: list, error: Exception) -> str:
    if packets:
        return f"unreadable after {len(packets)} frames: {error.strerror}"
    with open(path, "rb") as file:
        if file.read(12)[4:8] == b"ftyp":
            return "an MP4 without a readable index: cut off, or its recording never finished"
    return f"not a video: {error.strerror}"


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
        with av.open(line.path) as container:
            stream = container.streams.video[0]
            # One thread reports damage at the frame it befell.
            stream.codec_context.thread_count = 1
            if start is not None:
                container.seek(int(start), stream=stream)
            for frame in container.decode(stream):
                if frame.pts is None or (last is not None and frame.pts <= last):
                    raise _failure(line, last, "time stamps do not increase")
                # What refers to a damaged frame is damaged, up to the next key frame.
                damaged = frame.is_corrupt or (damaged and not frame.key_frame)
                if frame.pts > target or (frame.pts == target and damaged):
                    raise _failure(line, last, f"frame {line.index(target)} is damaged or missing")
                if frame.pts == target:
                    yield _upright(frame)
                    target = next(targets, None)
                    if target is None:
                        return
                last = last if damaged else frame.pts
    except av.FFmpegError as error:
        raise _failure(line, last, f"undecodable ({error.strerror})") from error
    raise _failure(line, last, f"ends before frame {line.index(target)}")


def _failure(line: Timeline, last: int | None, reason: str) -> FrameError:
    good = "none" if last is None else line.index(last)
    return FrameError(f"{line.path}: {reason}; last good frame: {good}")


def _upright(frame: av.VideoFrame) -> tuple[np.ndarray, int]:
    if frame.rotation % 90:
        raise FrameError(f"turned by {frame.rotation} degrees: only quarter turns are handled")
    return np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90), frame.rotation
