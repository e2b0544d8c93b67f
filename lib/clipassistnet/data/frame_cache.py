"""The frame cache: every annotated frame decoded once, resized, memory-mapped.

    python -m clipassistnet.frames DATASET OUT --size 96 [--processes 2]

Frame i of a video is the picture on the screen i / fps seconds after its first one (see
`timeline`), or the image file of that number where the video is a set of image files.
"""

import argparse
import hashlib
import io
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd

from clipassistnet.data import dataset as datasets
from clipassistnet.data.dataset import Dataset, DatasetError
from clipassistnet.data.frame_workers import Outcome, each, only_builder
from clipassistnet.data.timeline import FrameError
from clipassistnet.data.video_source import Source, fingerprint, source

__all__ = ["FrameCache", "FrameError", "build", "original", "source"]

SAMPLING = "the picture presented at frame / fps seconds; INTER_AREA, aspect not kept"


def build(
    dataset: Dataset,
    folder: str | Path,
    size: int,
    *,
    frames: pd.DataFrame | None = None,
    processes: int = 1,
) -> None:
    """Decode frames of a dataset into a cache: one `<video>.npy` and one manifest a video.

    A video whose manifest and array match (source, frames, size) is kept, so an interrupted build
    goes on where it was; a file is there whole or not at all. A second build of the same folder
    waits for the first.

    Args:
        dataset: its videos are decoded.
        folder: of the cache; created where it does not exist.
        size: edge of the cached pictures, in pixels.
        frames: table with the columns video and frame; None: every annotated frame.
        processes: videos decoded at a time.

    Raises:
        FrameError: once all other videos are done, naming each unreadable, damaged or cut-off
            file, or one whose length disagrees with videos.csv, and its last good frame.
        OSError: at once, where the disk is full; finished videos stay.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    table = dataset.annotations if frames is None else frames
    jobs = [
        (source(dataset, video), sorted(set(rows["frame"].tolist())))
        for video, rows in table.groupby("video")
    ]
    with only_builder(folder):
        outcomes = each(partial(_build_video, folder=folder, size=size), jobs, processes)
    failures = [outcome.note for outcome in outcomes if outcome.failed]
    if failures:
        raise FrameError("\n".join(failures))


def original(dataset: Dataset, video: str, frame: int) -> np.ndarray:
    """One frame at full resolution, uint8 RGB (H,W,3); FrameError where it cannot be had."""
    return next(source(dataset, video).pictures([frame]))[0]


class FrameCache:
    """Frames of a folder that `build` has made.

    Arrays are mapped into memory at first use, in each process anew: the cache can be sent to the
    workers of a DataLoader.

    Raises:
        FrameError: where the folder holds no cache, or pictures of several sizes.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        paths = sorted(self.folder.glob("*.json"))
        self._manifests = {path.stem: _manifest(path) for path in paths}
        sizes = {manifest["size"] for manifest in self._manifests.values()}
        if len(sizes) != 1:
            found = f"pictures of the sizes {sorted(sizes)}" if sizes else "no frame cache"
            raise FrameError(f"{self.folder}: {found} (make it: {_command(self.folder)})")
        self.size: int = sizes.pop()
        self._arrays: dict[str, np.ndarray] = {}
        self._rows: dict[str, dict[int, int]] = {}

    def get(self, video: str, frame: int) -> np.ndarray:
        """Copy of a cached frame, uint8 RGB (size, size, 3); FrameError where it is not there."""
        if video not in self._arrays:
            self._open(video)
        row = self._rows[video].get(frame)
        if row is None:
            missing = f"no frame {frame} of video {video!r}"
            raise FrameError(f"{self.folder}: {missing} (make it: {_command(self.folder)})")
        return np.array(self._arrays[video][row])

    def digest(self) -> str:
        """SHA-256 over all manifests, which hold the hashes of sources and pictures."""
        content = json.dumps(self._manifests, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def _open(self, video: str) -> None:
        if video not in self._manifests:
            raise FrameError(
                f"{self.folder}: no video {video!r} (make it: {_command(self.folder)})"
            )
        frames = self._manifests[video]["frames"]
        path = self.folder / f"{video}.npy"
        try:
            array = np.load(path, mmap_mode="r")
        except (OSError, ValueError) as error:
            raise FrameError(f"{path}: {error}") from error
        if array.shape != (len(frames), self.size, self.size, 3):
            raise FrameError(f"{path}: shape {array.shape} is not that of its manifest")
        self._arrays[video] = array
        self._rows[video] = {frame: row for row, frame in enumerate(frames)}

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_arrays": {}, "_rows": {}}


def _manifest(path: Path) -> dict:
    try:
        manifest = json.loads(path.read_text())
        return {"size": manifest["size"], "frames": manifest["frames"], **manifest}
    except (ValueError, KeyError, TypeError) as error:
        raise FrameError(f"{path}: not the manifest of a frame cache") from error


def _command(folder: Path) -> str:
    return f"python -m clipassistnet.frames DATASET {folder} --size SIZE"


def _build_video(job: tuple[Source, list[int]], *, folder: Path, size: int) -> Outcome:
    """Cache one video, unless that was done before."""
    origin, frames = job
    path, described = folder / f"{origin.video}.npy", folder / f"{origin.video}.json"
    try:
        manifest = {
            "video": origin.video,
            "fingerprint": origin.fingerprint(frames),
            "fps": origin.fps,
            "length": origin.length,
            "size": size,
            "sampling": SAMPLING,
            "frames": frames,
        }
        if _is_done(path, described, manifest):
            return Outcome(origin.video, f"{len(frames)} frames, as before")
        described.unlink(missing_ok=True)  # It would describe the array that is replaced now.
        turns: set[int] = set()
        pictures = _resized(origin.pictures(frames), size, turns)
        _write(path, chain([_header((len(frames), size, size, 3))], pictures))
        manifest |= {"turned": sorted(turns), "pictures": fingerprint(path)}
        manifest |= origin.irregular()
    except FrameError as error:
        return Outcome(origin.video, str(error), failed=True)
    _write(described, [json.dumps(manifest).encode()])
    return Outcome(origin.video, f"{len(frames)} frames{_peculiarities(manifest)}")


def _peculiarities(manifest: dict) -> str:
    """What a reader of the log should know of a video that is not upright or of constant rate."""
    notes = []
    if any(manifest["turned"]):
        notes.append(f"turned by {', '.join(map(str, manifest['turned']))} degrees")
    repeated, skipped = manifest.get("repeated", 0), manifest.get("skipped", 0)
    if repeated or skipped:
        notes.append(f"variable rate: {repeated} repeated, {skipped} pictures between frames")
    return "".join(f", {note}" for note in notes)


def _is_done(path: Path, described: Path, manifest: dict) -> bool:
    try:
        done = json.loads(described.read_text())
        return done.items() >= manifest.items() and done["pictures"] == fingerprint(path)
    except (FileNotFoundError, FrameError, ValueError, KeyError):
        return False


def _resized(
    pictures: Iterable[tuple[np.ndarray, int]], size: int, turns: set[int]
) -> Iterator[bytes]:
    # Imports torch: readers of a cache go without it.
    from clipassistnet.transforms import resize

    for picture, turn in pictures:
        turns.add(turn)
        yield resize(picture, size).tobytes()


def _header(shape: tuple[int, ...]) -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    return header.getvalue()


def _write(path: Path, parts: Iterable[bytes]) -> None:
    """Write a file whole or not at all.

    Plain writes, no memory map: where the disk is full, writing to a map kills the process.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with open(part, "wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        free = shutil.disk_usage(path.parent).free / 2**20
        reason = f"{error.strerror} ({free:.0f} MiB free; finished videos stay, run it again)"
        raise OSError(error.errno, reason, str(path)) from error
    finally:
        part.unlink(missing_ok=True)


def main(arguments: list[str] | None = None) -> None:
    """Build a frame cache from the command line."""
    parser = argparse.ArgumentParser("python -m clipassistnet.frames", description=main.__doc__)
    parser.add_argument("dataset", help="dataset folder")
    parser.add_argument("out", help="folder of the cache")
    parser.add_argument("--size", type=int, default=96, help="edge of a cached picture in pixels")
    parser.add_argument("--processes", type=int, default=1, help="videos decoded at a time")
    given = parser.parse_args(arguments)
    try:
        build(datasets.read(given.dataset), given.out, given.size, processes=given.processes)
    except (DatasetError, FrameError, OSError) as error:
        sys.exit(str(error))
