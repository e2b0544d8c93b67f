"""Which frame of which video a frame of a CVAT task is: by file name, or by number."""

import re
from collections.abc import Callable
from pathlib import Path
from xml.etree.ElementTree import Element

import pandas as pd

from clipassistnet.data.dataset import DatasetError
from clipassistnet.data.file_names import composed, existing
from clipassistnet.data.importers.source_files import listing
from clipassistnet.data.schema import COUNT, FRAME_FIELD
from clipassistnet.data.timeline import timeline
from clipassistnet.decoding import FrameError

# Frame of a track, or name of a picture where CVAT exports the frames of a video as images.
FRAME = rf"(?:frame_)?({COUNT})(?:\.[A-Za-z]+)?"
# From what an export calls a frame to video and frame; ValueError where there is no such frame.
Place = Callable[[str], tuple[str, int]]


def in_images(videos: pd.DataFrame, video: str) -> Place:
    """For a task made of images, whose names fit the pattern of one video of the dataset.

    Args:
        videos: the rows of videos.csv.
        video: the video that the images show. Empty: their names decide.
    """
    rows = videos[(videos["video"] == video) | (video == "")]
    patterns = dict(zip(rows["video"], rows["path"], strict=True))

    def place(name: str) -> tuple[str, int]:
        numbers = {v: _number(composed(name), pattern) for v, pattern in patterns.items()}
        found = [(v, frame) for v, frame in numbers.items() if frame is not None]
        if len(found) != 1:
            fitting = f"fits the videos {listing([v for v, _ in found])}" if found else "fits none"
            raise ValueError(f"name {fitting} (expected a picture of one video of videos.csv)")
        return found[0]

    return place


def _number(name: str, pattern: str) -> int | None:
    """Frame of a picture, from its name and as much of the pattern's path as the name has."""
    tail = "/".join(pattern.split("/")[-name.count("/") - 1 :])
    parts = FRAME_FIELD.split(tail)
    if len(parts) != 3:
        return None
    match = re.fullmatch(f"{re.escape(parts[0])}({COUNT}){re.escape(parts[2])}", name)
    # The pattern {frame:06d}.png writes frame 30 as 000030.png, not as 30.png.
    frame = int(match[1]) if match else None
    return frame if match and tail.format(frame=frame) == name else None


def in_video(task: Element, folder: Path, videos: pd.DataFrame, video: str, part: bool) -> Place:
    """For a task made of a video, which counts pictures: frames, where the rate is constant.

    Raises:
        DatasetError: where the task does not show the dataset's video from its first to its last
            frame (or any part of it, if `part` is true), or the video's rate is not constant.
    """
    row = _shown(task, videos, video)
    length, name = int(row["frames"]), row["video"]
    try:
        peculiar = timeline(str(existing(folder / row["path"])), row["fps"]).irregular()
    except FrameError as error:
        raise DatasetError([str(error)]) from error
    if any(peculiar.values()):
        what = f"video {name}: not {row['fps']:g} frames a second throughout, CVAT counts pictures"
        raise DatasetError([f"{what} (expected a task made of image files)"])
    frames, size = _frames(task)
    what = (
        f"the task's frames {frames.start} to {frames[-1]}, every {frames.step}" if frames else ""
    )
    if len(frames) != size or not frames:
        raise DatasetError([f"{what or 'no frames'}: size {size} (expected {len(frames)})"])
    whole = frames.start == 0 and frames[-1] + frames.step >= length
    if frames[-1] >= length or not (whole or part):
        shown = f"video {name} has the frames 0 to {length - 1}"
        raise DatasetError([f"{what}; {shown}: shifted, or another video (or say --part)"])

    def place(frame: str) -> tuple[str, int]:
        number = int(match[1]) if (match := re.fullmatch(FRAME, frame)) else -1
        if number not in frames:
            raise ValueError(f"frame {frame!r} (expected one of {what})")
        return name, number

    return place


def _shown(task: Element, videos: pd.DataFrame, video: str) -> pd.Series:
    """The row of videos.csv that is the video of the task."""
    source = task.findtext("source") or ""
    files = videos[~videos["path"].str.contains("{", regex=False)]
    names = files["path"].str.rsplit("/", n=1).str[-1]
    rows = files[(files["video"] == video) if video else (names == Path(source).name)]
    if len(rows) != 1:
        what = f"video {video!r}" if video else f"the task's source {source!r}"
        raise DatasetError([f"{what}: {len(rows)} such video files in videos.csv (expected one)"])
    return rows.iloc[0]


def _frames(task: Element) -> tuple[range, int]:
    """Frames of the video that the task shows, and their number by the task's own account."""
    texts = {name: task.findtext(name) or "" for name in ("size", "start_frame", "stop_frame")}
    step = re.fullmatch("(?:step=)?([1-9][0-9]*)?", (task.findtext("frame_filter") or "").strip())
    numbers = {name: int(text) for name, text in texts.items() if re.fullmatch(COUNT, text)}
    if step is None or "size" not in numbers:
        found = {**texts, "frame_filter": task.findtext("frame_filter")}
        raise DatasetError([f"the task's frames {found} (expected size, and step=N or no filter)"])
    stride, start = int(step[1] or 1), numbers.get("start_frame", 0)
    stop = numbers.get("stop_frame", start + (numbers["size"] - 1) * stride)
    return range(start, stop + 1, stride), numbers["size"]
