"""Which frame of which video a picture of a labelling tool is, by its name."""

import re
from itertools import takewhile
from pathlib import Path

import pandas as pd

from clipassistnet.data.dataset import DatasetError
from clipassistnet.data.decoding import FrameError
from clipassistnet.data.file_names import composed, existing
from clipassistnet.data.image_pattern import FRAME_FIELD, image_path, is_pattern
from clipassistnet.data.importers.source_files import listing
from clipassistnet.data.importers.tip_labels import Place
from clipassistnet.data.schema import COUNT
from clipassistnet.data.timeline import timeline

# The name of a video's frame that was saved as a picture: v01/frame_000030.png, v01_000030.jpg.
NUMBERED = rf"(?:(?P<video>.+?)[/_-])?(?:frame[_-]?)?(?P<frame>{COUNT})(?:\.[A-Za-z]+)?"
EXPECTED = "expected a picture of one video of videos.csv"


def video_files(videos: pd.DataFrame) -> pd.DataFrame:
    """The rows of videos.csv that are video files, not image files."""
    return videos[~videos["path"].map(is_pattern).astype(bool)]


def names(files: pd.DataFrame) -> pd.Series:
    """The names of video files, without their folders."""
    return files["path"].str.rsplit("/", n=1).str[-1]


def in_images(videos: pd.DataFrame, video: str) -> Place:
    """For pictures whose names fit the pattern of one video of the dataset.

    The folder of a name must be that of the pattern, unless the name has none or its file is named
    after the video (v01_000030.png). Of several patterns, the one counts that has most folders in
    common with the name.

    Args:
        videos: the rows of videos.csv.
        video: the video that the images show, whatever their folders. Empty: their names decide.
    """
    rows = videos[(videos["video"] == video) | (video == "")]
    patterns = list(zip(rows["video"], rows["path"], strict=True))

    def place(name: str) -> tuple[str, int]:
        fits = [(v, *_fit(composed(name), v, pattern, v == video)) for v, pattern in patterns]
        best = max((common for _, common, _ in fits), default=0)
        found = [(v, frame) for v, common, frame in fits if common == best > 0]
        if len(found) != 1:
            fitting = f"fits the videos {listing([v for v, _ in found])}" if found else "fits none"
            raise ValueError(f"name {fitting} ({EXPECTED})")
        return found[0]

    return place


def in_images_or_video(folder: Path, videos: pd.DataFrame, video: str) -> Place:
    """For pictures as `in_images`, and for numbered pictures of a video file.

    The number counts the video's frames from 0, at its own rate. The name of such a picture must
    say the video (v01_000030.png, v01/frame_000030.png), unless `video` does.
    """
    images = in_images(videos, video)
    files = video_files(videos)
    files = files[(files["video"] == video) | (video == "")]
    stems = names(files).map(lambda name: Path(name).stem)
    checked = set()

    def place(name: str) -> tuple[str, int]:
        try:
            return images(name)
        except ValueError:
            match = re.fullmatch(NUMBERED, composed(name))
            if match is None or files.empty:
                raise
        said = (match["video"] or "").rsplit("/", 1)[-1]
        rows = files if video else files[(files["video"] == said) | (stems == said)]
        other = said in set(videos["video"]) and said != video
        if len(rows) != 1 or (video and other):
            raise ValueError(f"name fits no video ({EXPECTED}, such as v01_000030.png, or --video)")
        row = rows.iloc[0]
        if row["video"] not in checked:
            require_constant_rate(folder, row)
            checked.add(row["video"])
        frame = int(match["frame"])
        if frame >= row["frames"]:
            last = f"frames 0 to {int(row['frames']) - 1} of video {row['video']}"
            raise ValueError(
                f"number {frame} (expected one of the {last}: is 1 the first picture?)"
            )
        return row["video"], frame

    return place


def numbering_note(export: Path, labels: pd.DataFrame, videos: pd.DataFrame) -> list[str]:
    """Says how pictures of video files were numbered, where there are any."""
    counted = sorted(set(labels["video"]) & set(video_files(videos)["video"]))
    if not counted:
        return []
    what = "numbers in the pictures' names count the video's frames from 0, at its own rate"
    return [f"{export}: {', '.join(counted)}: {what}"]


def require_constant_rate(folder: Path, row: pd.Series) -> None:
    """DatasetError where numbers of pictures are no frames, as the video's rate varies."""
    try:
        irregular = timeline(str(existing(folder / row["path"])), row["fps"]).irregular()
    except FrameError as error:
        raise DatasetError([str(error)]) from error
    if any(irregular.values()):
        rate = f"not {row['fps']:g} frames a second throughout"
        what = f"video {row['video']}: {rate}, labelling tools count pictures"
        raise DatasetError([f"{what} (expected a task made of image files)"])


def _fit(name: str, video: str, pattern: str, known: bool) -> tuple[int, int]:
    """How many parts of a name's end fit a pattern of image files (0: none), and its frame.

    `known` is whether the user said that the video is this one.
    """
    *folders, file = name.split("/")
    *wanted, last = pattern.split("/")
    halves = FRAME_FIELD.split(last)
    if len(halves) != 3:
        return 0, 0
    match = re.fullmatch(f"{re.escape(halves[0])}({COUNT}){re.escape(halves[2])}", file)
    # The pattern {frame:06d}.png writes frame 30 as 000030.png, not as 30.png.
    if match is None or image_path(last, int(match[1])) != file:
        return 0, 0
    pairs = zip(reversed(folders), reversed(wanted), strict=False)
    common = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
    if folders and wanted and not common and not known and video not in halves[0]:
        return 0, 0
    return 1 + common, int(match[1])
