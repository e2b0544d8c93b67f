"""When each frame of a video file is shown: its presentation time stamps, read without decoding."""

import os
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import av
import numpy as np

from clipassistnet.data.decoding import FrameError, open_video, video_stream

# Containers with an index of time stamps, in which a jump reaches the frame that it should.
INDEXED = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")


class Packet(NamedTuple):
    """One compressed frame; its time stamp in ticks."""

    pts: int | None
    keyframe: bool
    corrupt: bool


@dataclass(frozen=True)
class Timeline:
    """When the frames of a video are shown, in ticks of `tick` seconds.

    `fps` is the declared rate. Frame i is the picture on the screen i / fps seconds after the first
    one, so a file of variable rate has the same indices as its copy of constant rate.
    """

    path: str
    fps: float
    tick: float
    pts: np.ndarray  # (F,) int64, ascending
    keyframes: np.ndarray  # (K,) int64, ascending; empty where jumping is not safe

    @property
    def length(self) -> int:
        """Number of frames at the declared rate, up to the first that shows the last picture.

        The duration of the last picture does not count, because containers disagree on it.
        """
        return self.index(self.pts[-1]) + 1

    def shown_at(self, frames: np.ndarray) -> np.ndarray:
        """Time stamps (N,) of the pictures shown at these frame indices (N,), ascending."""
        outside = [int(frame) for frame in frames if not 0 <= frame < self.length]
        if outside:
            raise FrameError(f"{self.path}: no frame {outside[0]} (0 to {self.length - 1})")
        # Half a tick of tolerance: time stamps are rounded to ticks.
        times = self.pts[0] + np.asarray(frames) / (self.fps * self.tick) + 0.5 + 1e-3
        return self.pts[np.searchsorted(self.pts, times, side="right") - 1]

    def irregular(self) -> dict[str, int]:
        """How many frames repeat the picture before, and how many pictures no frame shows.

        Both are 0 for a file of constant rate without lost frames.
        """
        shown = len(np.unique(self.shown_at(np.arange(self.length))))
        return {"repeated": self.length - shown, "skipped": len(self.pts) - shown}

    def index(self, pts: int) -> int:
        """Frame index at which this time stamp is first shown."""
        return int(np.ceil((pts - self.pts[0] - 0.5) * self.tick * self.fps))

    def failure(self, last: int | None, reason: str) -> FrameError:
        """Error that names the file and the last good frame, whose time stamp is `last`."""
        good = "none" if last is None else self.index(last)
        return FrameError(f"{self.path}: {reason}; last good frame: {good}")


def timeline(path: str, fps: float) -> Timeline:
    """Read when each frame of a video file is shown, without decoding it.

    Args:
        path: the video file.
        fps: the declared rate, in frames per second.

    Raises:
        FrameError: where the file is no video, is empty, ends before its index says, or has no
            usable time stamps.
    """
    if not os.path.isfile(path):
        raise FrameError(f"{path}: no such file")
    status = os.stat(path)
    return _timeline(path, fps, status.st_size, status.st_mtime_ns)


def probe(path: str, fps: float | None = None) -> tuple[float, int]:
    """Rate (frames per second) and length (frames) of a video file; reads the whole file.

    Args:
        path: the video file.
        fps: the rate on which frames are counted. None: that of the file.

    Raises:
        FrameError: as `timeline`; also where `fps` is None and the file has no constant rate, so
            that nothing says what the number of a frame means.
    """
    if fps is not None:
        return fps, timeline(path, fps).length
    rate = _stated_rate(path)
    line = timeline(path, rate)
    if any(line.irregular().values()):
        advice = "videos.csv must state fps: frame i is then the picture shown at i / fps seconds"
        raise FrameError(f"{path}: its frame rate varies ({rate:g} on average); {advice}")
    return rate, line.length


def _stated_rate(path: str) -> float:
    try:
        with open_video(path) as container:
            stream = video_stream(container, path)
            rate = stream.average_rate or stream.guessed_rate
    except av.FFmpegError as error:
        raise FrameError(f"{path}: {_unreadable(path, 0, error)}") from error
    if not rate:
        raise FrameError(f"{path}: does not state its frame rate: videos.csv must state fps")
    return float(rate)


@lru_cache(maxsize=32)
def _timeline(path: str, fps: float, size: int, _modified: int) -> Timeline:
    if size == 0:
        raise FrameError(f"{path}: the file is empty (0 bytes)")
    tick, indexed, announced, packets = _demux(path)
    if not packets:
        raise FrameError(f"{path}: holds no frame (cut off before its first one)")
    if any(packet.pts is None for packet in packets):
        raise FrameError(f"{path}: frames without presentation time stamps: convert it to MP4")
    pts, keyframe, corrupt = (np.array(column) for column in zip(*packets, strict=True))
    keyframes = np.unique(pts[keyframe]) if indexed else pts[:0]
    line = Timeline(path, fps, tick, np.unique(pts), keyframes)
    if corrupt.any():
        # Transport streams count their packets. Frames that refer to a lost one are damaged too.
        raise line.failure(pts[corrupt][0], "packets of the file are lost: convert it to MP4")
    last = _before_gap(pts)
    if last is not None and len(pts) != announced:
        reason = (
            "cut off (frames before the last one are missing), or of variable rate. If you know "
            "that it is whole, convert it to MP4, in which the two differ"
        )
        raise line.failure(last, reason)
    return line


def _demux(path: str) -> tuple[float, bool, int, list[Packet]]:
    """Tick, whether there is an index, announced number of frames (0: unknown), and packets."""
    packets: list[Packet] = []
    try:
        with open_video(path) as container:
            stream = video_stream(container, path)
            if stream.codec_context is None:
                raise FrameError(f"{path}: its video is of an unknown kind")
            if container.format.name == "avi" and stream.codec_context.has_b_frames:
                raise FrameError(f"{path}: AVI has no time stamps for B-frames: convert it to MP4")
            for each in container.demux(stream):
                if each.size and not each.is_discard:
                    packets.append(Packet(each.pts, each.is_keyframe, each.is_corrupt))
            tick, indexed = float(stream.time_base), container.format.name in INDEXED
            announced = stream.frames
    except av.FFmpegError as error:
        raise FrameError(f"{path}: {_unreadable(path, len(packets), error)}") from error
    # The last packet of a file that ends within a frame is a part of that frame.
    while packets and packets[-1].corrupt:
        packets.pop()
    return tick, indexed, announced, packets


def _before_gap(pts: np.ndarray) -> int | None:
    """Last frame before the gap that a file has which was cut off between reordered frames.

    A frame may be stored after a later one that it refers to. A file that is cut off between these
    two has its full length and still lacks frames, which shows as a gap between time stamps.

    Args:
        pts: time stamps (F,) in the order of the file.

    Returns:
        The time stamp before the gap, or None where there is no gap.
    """
    if np.all(np.diff(pts) > 0):
        return None
    before = pts[: pts.argmax()].max(initial=pts.min())
    shown = np.unique(pts)
    gaps = np.diff(shown)
    wide = shown[:-1][(shown[1:] > before) & (gaps > 1.5 * np.median(gaps))]
    return int(wide[0]) if wide.size else None


def _unreadable(path: str, packets: int, error: av.FFmpegError) -> str:
    if packets:
        return f"unreadable after {packets} frames: {error.strerror}"
    if isinstance(error, av.InvalidDataError):
        with open(path, "rb") as file:
            if file.read(12)[4:8] == b"ftyp":
                return "an MP4 without a readable index: cut off, or its recording never finished"
    return f"not a video: {error.strerror}"
