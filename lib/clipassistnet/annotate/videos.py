"""videos.csv from a folder of videos, or of pictures: rate and length are read from the files."""

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path

import av
import pandas as pd

from clipassistnet.annotate.errors import AnnotateError
from clipassistnet.data import dataset
from clipassistnet.data.decoding import FrameError, open_video, video_stream
from clipassistnet.data.schema import TABLES
from clipassistnet.data.timeline import timeline
from clipassistnet.data.video_source import VideoSource

VIDEOS = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".wmv")
PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")
NUMBERED = re.compile(r"(.*?)([0-9]{1,15})")


def update(
    folder: Path,
    *,
    patients: Mapping[str, str] | None = None,
    clipper: str = "",
    pictures_per_second: float = 0.0,
) -> tuple[pd.DataFrame, list[str]]:
    """Add the folder's new videos to its videos.csv, which is made where it is missing.

    Rows that are there are not touched. A video is one file, or numbered pictures that share the
    rest of their name (where the folder holds no video file).

    Args:
        folder: with videos or pictures, in folders below it too.
        patients: patient of each video id. A video that is not named is a patient of its own.
        clipper: metal, polymer, or nothing where it is not known.
        pictures_per_second: the rate at which pictures were taken; 0: not known.

    Returns:
        videos.csv as it is now, and problems: each file that cannot be used, and why.

    Raises:
        DatasetError: the videos.csv that is there breaks the contract.
        AnnotateError: nothing usable is in the folder, or a value is not one of those expected.
    """
    if not folder.is_dir():
        raise AnnotateError(f"{folder}: no such folder (expected a folder of videos or pictures)")
    table = folder / "videos.csv"
    if table.exists():
        dataset.read_videos(folder)
        known = pd.read_csv(table, dtype="str", keep_default_na=False, encoding="utf-8-sig")
    else:
        known = pd.DataFrame(columns=[*TABLES["videos"].columns], dtype="str")
    there = {str((folder / path).resolve()) for path in known["path"]}
    rows, problems, used = [], [], set(known["video"])
    for path, found in _found(folder, pictures_per_second):
        if str((folder / path).resolve()) in there:
            continue
        if isinstance(found, str):
            problems.append(found)
            continue
        name = _free_name(found.pop("stem"), used)
        patient = (patients or {}).get(name, name)
        rows.append({"video": name, "path": path, "patient": patient, "clipper": clipper} | found)
    if rows:
        new = pd.DataFrame(rows).assign(split="", source="own", licence="")
        dataset.write(folder, videos=pd.concat([known, new], ignore_index=True))
    elif known.empty:
        kinds = f"a video ({' '.join(VIDEOS)}) or numbered pictures ({' '.join(PICTURES)})"
        lacks = f"{folder}: nothing to label (expected {kinds})"
        raise AnnotateError("\n".join([lacks, *problems]))
    return dataset.read_videos(folder), problems


def source_of(path: Path) -> VideoSource:
    """The source of a video file that is in no dataset; its id is the file's name.

    Raises:
        FrameError: the file is no video.
    """
    found = _probed(path)
    length = int(found["frames"])
    return VideoSource(found["stem"], str(path.resolve()), float(found["fps"]), length)


def _found(folder: Path, rate: float) -> Iterator[tuple[str, dict | str]]:
    """Path of each video from the folder, and its stem, fps and frames, or why it is unusable."""
    names = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
    names = [name for name in names if not any(part.startswith(".") for part in name.parts)]
    videos = [name for name in names if name.suffix.lower() in VIDEOS]
    for name in videos:
        try:
            yield name.as_posix(), _probed(folder / name)
        except FrameError as error:
            yield name.as_posix(), str(error)
    if not videos:
        pictures = [name for name in names if name.suffix.lower() in PICTURES]
        yield from _sets(folder, pictures, rate)


def _probed(path: Path) -> dict:
    try:
        with open_video(str(path)) as container:
            stream = video_stream(container, str(path))
            rate = stream.average_rate or stream.guessed_rate
    except av.FFmpegError as error:
        raise FrameError(f"{path}: not a video: {error.strerror}") from error
    if not rate:
        raise FrameError(f"{path}: does not say its frame rate")
    fps = _cell(rate)
    length = timeline(str(path.resolve()), float(fps)).length
    return {"stem": path.stem, "fps": fps, "frames": str(length)}


def _cell(rate: Fraction | float) -> str:
    """A rate as it stands in videos.csv: 25, 29.97003."""
    return f"{float(rate):.6f}".rstrip("0").rstrip(".")


def _sets(folder: Path, pictures: list[Path], rate: float) -> Iterator[tuple[str, dict | str]]:
    """Numbered pictures that differ in their number only, as a pattern."""
    groups: dict[tuple[Path, str, str], list[str]] = {}
    for name in pictures:
        match = NUMBERED.fullmatch(name.stem)
        if match is None:
            yield name.as_posix(), f"{folder / name}: no frame number at the end of its name"
            continue
        groups.setdefault((name.parent, match[1], name.suffix), []).append(match[2])
    for (parent, prefix, suffix), numbers in groups.items():
        width = min(map(len, numbers))
        frame = f"{{frame:0{width}d}}" if width > 1 else "{frame}"
        path = (parent / f"{prefix}{frame}{suffix}").as_posix()
        odd = [number for number in numbers if frame.format(frame=int(number)) != number]
        if odd:
            what = f"{folder / path}: {len(odd)} numbers such as {odd[0]} are not written alike"
            yield path, f"{what} (expected {width} digits, or no leading zeros)"
            continue
        stem = prefix.rstrip("_-. ") or parent.name or folder.name
        yield path, {"stem": stem, "fps": _cell(rate) if rate else "", "frames": ""}


def _free_name(stem: str, used: set[str]) -> str:
    """An id made of the file's name that no other video has; it is added to `used`."""
    base = re.sub(r"[^A-Za-z0-9_.-]+", "_", stem).lstrip(".-") or "video"
    name, count = base, 1
    while name in used:
        count += 1
        name = f"{base}_{count}"
    used.add(name)
    return name
