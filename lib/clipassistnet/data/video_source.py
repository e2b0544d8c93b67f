"""Where the frames of a dataset's video come from: a video file, or numbered image files."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np

from clipassistnet import files
from clipassistnet.data.dataset import Dataset
from clipassistnet.data.decoding import FrameError, open_video, read_image, stream_note
from clipassistnet.data.file_names import existing
from clipassistnet.data.frame_seeking import pictures
from clipassistnet.data.image_pattern import image_path, is_pattern
from clipassistnet.data.timeline import Timeline, timeline

PART = 16 * 2**20  # bytes of one part of a large file


@dataclass(frozen=True)
class VideoSource:
    """A video of a dataset: `path` is a file, or a pattern with `{frame...}` of image files.

    `video` is its id, `fps` the declared rate, `length` the declared number of frames (None: a
    sparse set of image files).
    """

    video: str
    path: str
    fps: float
    length: int | None

    def pictures(self, frames: list[int]) -> Iterator[tuple[np.ndarray, str]]:
        """Decode these frames (ascending, each once).

        Yields:
            For each frame, uint8 RGB (H,W,3), upright, and what was done to make it so ("turned by
            180 degrees"; empty: nothing).

        Raises:
            FrameError: naming the file and its last good frame.
        """
        if is_pattern(self.path):
            yield from (read_image(self._image(frame)) for frame in frames)
            return
        line = self.timeline()
        # A frame stays on the screen for several indices where the file is slower than its fps.
        stamps, times = np.unique(line.shown_at(np.array(frames)), return_counts=True)
        for picture, count in zip(pictures(line, stamps), times.tolist(), strict=True):
            yield from repeat(picture, count)

    def _image(self, frame: int) -> str:
        """Path of the image file of this frame."""
        return str(existing(Path(image_path(self.path, frame))))

    def timeline(self) -> Timeline:
        """Time stamps of the video file; FrameError where it is not as long as declared."""
        line = timeline(self.path, self.fps)
        if self.length is not None and line.length != self.length:
            raise FrameError(
                f"{self.path}: lasts {line.length} frames at {self.fps:g} frames per second, "
                f"videos.csv says {self.length}: cut off, or fps or frames are wrong; "
                f"last good frame: at most {line.length - 1}"
            )
        return line

    def irregular(self) -> dict[str, int]:
        """See `Timeline.irregular`; nothing for image files."""
        return {} if is_pattern(self.path) else self.timeline().irregular()

    def stream_note(self) -> str:
        """Which of several video streams of the file is decoded; empty where there is only one."""
        if is_pattern(self.path):
            return ""
        with open_video(self.path) as container:
            return stream_note(container, self.path)

    def digest(self, frames: list[int]) -> str:
        """Hash of the video file (see `quick_digest`), or of the image files of these frames."""
        if not is_pattern(self.path):
            return quick_digest(self.path)
        each = [quick_digest(self._image(frame)) for frame in frames]
        return "sha256-list:" + hashlib.sha256("\n".join(each).encode()).hexdigest()


def source(dataset: Dataset, video: str) -> VideoSource:
    """The source of a video of the dataset; KeyError where it has no video of that name."""
    path = dataset.path(video)
    row = dataset.videos[dataset.videos["video"] == video].iloc[0]
    length = None if row.isna()["frames"] else int(row["frames"])
    return VideoSource(video, path, float(row["fps"]), length)


def original(dataset: Dataset, video: str, frame: int) -> np.ndarray:
    """One frame at full resolution, uint8 RGB (H,W,3); FrameError where it cannot be decoded."""
    return next(source(dataset, video).pictures([frame]))[0]


def quick_digest(path: str | Path) -> str:
    """SHA-256 of a file; of a file above 64 MiB, of its size and of 16 MiB of each of three parts.

    The parts are its head, middle and tail. A recording of hours is so recognised in a moment, but
    a change between the parts that keeps the size is not noticed. The prefix of the hash says
    which of the two it is.
    """
    try:
        size = Path(path).stat().st_size
        if size <= 4 * PART:
            return "sha256:" + files.digest(path)
        sha = hashlib.sha256(str(size).encode())
        with open(path, "rb") as file:
            for start in (0, (size - PART) // 2, size - PART):
                file.seek(start)
                sha.update(file.read(PART))
        return "sha256-parts:" + sha.hexdigest()
    except OSError as error:
        raise FrameError(f"{path}: {error.strerror}") from error
