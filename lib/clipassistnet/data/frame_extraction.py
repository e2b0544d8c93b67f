"""Makes a frame cache: decodes frames of a dataset's videos and resizes them (see `frame_cache`).

Frame i of a video is the picture on the screen i / fps seconds after its first one (see
`timeline`), or the image file of that number where the video is a set of image files.
"""

import errno
import io
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from clipassistnet import files
from clipassistnet.data.dataset import Dataset
from clipassistnet.data.decoding import FrameError
from clipassistnet.data.video_source import VideoSource, quick_digest, source
from clipassistnet.workers import Outcome, run_all

SAMPLING = "the picture presented at frame / fps seconds; INTER_AREA, aspect not kept"
DECODING = "upright, BT.709 colours"  # changes when pictures of some files come out differently


def extract(
    dataset: Dataset,
    folder: str | Path,
    size: int,
    *,
    frames: pd.DataFrame | None = None,
    processes: int = 1,
) -> None:
    """Decode frames of a dataset into a cache: one array and one manifest a video.

    A video whose manifest and array match (source, frames, size) is kept, so an interrupted call
    can be repeated and goes on where it was. A file is there whole or not at all. A second call
    with the same folder waits for the first.

    Args:
        dataset: its videos are decoded.
        folder: of the cache; created where it does not exist.
        size: edge of the cached pictures, in pixels.
        frames: table with the columns video and frame; None: every annotated frame.
        processes: videos decoded at a time.

    Raises:
        FrameError: once all other videos are done. The message names each file that is
            unreadable, damaged, cut off or of another length than videos.csv says, and its last
            good frame.
        OSError: at once, where the disk is full; finished videos stay.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    table = dataset.annotations if frames is None else frames
    jobs = [
        (source(dataset, video), sorted(set(rows["frame"].tolist())))
        for video, rows in table.groupby("video")
    ]
    with files.lock(folder / ".lock", wait=True):
        work = partial(_cache_video, folder=folder, size=size)
        outcomes = run_all(work, jobs, processes, unit="video")
    failures = [outcome.note for outcome in outcomes if outcome.failed]
    if failures:
        raise FrameError("\n".join(failures))


def _cache_video(job: tuple[VideoSource, list[int]], *, folder: Path, size: int) -> Outcome:
    """Cache one video, unless that was done before."""
    origin, frames = job
    array, described = folder / f"{origin.video}.npy", folder / f"{origin.video}.json"
    try:
        manifest = {
            "video": origin.video,
            "fingerprint": origin.digest(frames),
            "fps": origin.fps,
            "length": origin.length,
            "size": size,
            "sampling": SAMPLING,
            "decoding": DECODING,
            "frames": frames,
        }
        if _is_done(array, described, manifest):
            return Outcome(origin.video, f"{len(frames)} frames, as before")
        described.unlink(missing_ok=True)  # It would describe the array that is replaced now.
        notes: set[str] = set()
        pictures = _resized(origin.pictures(frames), size, notes)
        _write(array, (len(frames), size, size, 3), pictures)
        notes.add(origin.stream_note())
        manifest |= {"notes": sorted(notes - {""}), "pictures": quick_digest(array)}
        manifest |= origin.irregular()
    except FrameError as error:
        return Outcome(origin.video, str(error), failed=True)
    with _explained(described):
        files.write(described, json.dumps(manifest))
    return Outcome(origin.video, f"{len(frames)} frames{_peculiarities(manifest)}")


def _peculiarities(manifest: dict[str, Any]) -> str:
    """What the log says of a video that is not upright, or not of constant rate."""
    notes = list(manifest["notes"])
    repeated, skipped = manifest.get("repeated", 0), manifest.get("skipped", 0)
    if repeated or skipped:
        notes.append(f"variable rate: {repeated} repeated, {skipped} pictures between frames")
    return "".join(f", {note}" for note in notes)


def _is_done(array: Path, described: Path, manifest: dict[str, Any]) -> bool:
    try:
        done = json.loads(described.read_text(encoding="utf-8"))
        return done.items() >= manifest.items() and done["pictures"] == quick_digest(array)
    except (FileNotFoundError, FrameError, ValueError, KeyError):
        return False


def _resized(
    pictures: Iterable[tuple[np.ndarray, str]], size: int, notes: set[str]
) -> Iterator[bytes]:
    """Bytes of the resized pictures; what was done to make them upright goes into `notes`."""
    from clipassistnet.transforms import resize  # imports torch, which takes seconds

    for picture, note in pictures:
        notes.add(note)
        yield resize(picture, size).tobytes()


def _write(path: Path, shape: tuple[int, ...], pictures: Iterable[bytes]) -> None:
    """Write a .npy file of these pictures, whole or not at all.

    Plain writes, no memory map: where the disk is full, writing to a map kills the process.
    """
    with _explained(path), files.whole(path) as part, open(part, "wb") as file:
        file.write(_header(shape))
        file.writelines(pictures)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """An error of writing this file says how much of the disk is free, and what to do."""
    try:
        yield
    except OSError as error:
        free = shutil.disk_usage(path.parent).free / 2**20
        reason = f"{error.strerror} ({free:.0f} MiB free; finished videos stay, run it again)"
        raise OSError(error.errno or errno.EIO, reason, str(path)) from error


def _header(shape: tuple[int, ...]) -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    return header.getvalue()
