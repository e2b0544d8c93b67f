"""Which frame of its video a frame of a CVAT task is, by its number."""

import re
from pathlib import Path
from xml.etree.ElementTree import Element

import pandas as pd

from clipassistnet.data.dataset import DatasetError
from clipassistnet.data.importers.picture_names import names, require_constant_rate, video_files
from clipassistnet.data.importers.source_files import listing
from clipassistnet.data.importers.tip_labels import Place
from clipassistnet.data.schema import COUNT

# Frame of a track, or name of a picture where CVAT exports the frames of a video as images.
FRAME = rf"(?:frame_)?({COUNT})(?:\.[A-Za-z]+)?"


def in_video(task: Element, folder: Path, videos: pd.DataFrame, video: str, part: bool) -> Place:
    """For a task made of a video, which counts pictures: frames, where the rate is constant.

    Raises:
        DatasetError: where the task does not show the dataset's video from its first to its last
            frame (or any part of it, if `part` is true), or the video's rate is not constant.
    """
    row = _shown(task, videos, video)
    length, name = int(row["frames"]), row["video"]
    require_constant_rate(folder, row)
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
    source = (task.findtext("source") or "").strip()
    files = video_files(videos)
    if not video and not source:
        known = listing(list(files["video"])) or "none"
        what = "the export does not name its video (CVAT's export of a job has no <source>)"
        raise DatasetError([f"{what} (expected --video and one of the video files: {known})"])
    rows = files[(files["video"] == video) if video else (names(files) == Path(source).name)]
    if len(rows) != 1:
        what = f"video {video!r}" if video else f"the task's source {source!r}"
        expected = "expected one; --video names it"
        raise DatasetError([f"{what}: {len(rows)} such video files in videos.csv ({expected})"])
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
