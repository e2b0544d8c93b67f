"""The frame cache: frames decoded once, resized, and read by memory map.

`frame_extraction` makes it. A folder holds two files a video: `<video>.npy` with the pictures, and
the manifest `<video>.json`, which says which frames these are and what they were made from.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from clipassistnet.errors import ExplainedError


class FrameCacheError(ExplainedError, ValueError):
    """A folder that is no frame cache, or a frame that it does not hold."""


class FrameCache:
    """Frames of a folder that `frame_extraction.extract` has made.

    Arrays are mapped into memory at first use, in each process anew: the cache can be sent to the
    workers of a DataLoader.

    Raises:
        FrameCacheError: where the folder holds no cache, or pictures of several sizes.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        paths = sorted(self.folder.glob("[!.]*.json"))  # a killed process leaves ".v01.part.json"
        self._manifests = {path.stem: _manifest(path) for path in paths}
        sizes = {manifest["size"] for manifest in self._manifests.values()}
        if len(sizes) != 1:
            raise self._lacking(f"pictures of the sizes {sorted(sizes)}" if sizes else "no frames")
        self.size: int = sizes.pop()
        self._arrays: dict[str, np.ndarray] = {}
        self._rows: dict[str, dict[int, int]] = {}

    def get(self, video: str, frame: int) -> np.ndarray:
        """Copy of a cached frame, uint8 RGB (size, size, 3).

        Raises:
            FrameCacheError: where it is not in the cache.
        """
        if video not in self._arrays:
            self._open(video)
        row = self._rows[video].get(frame)
        if row is None:
            raise self._lacking(f"no frame {frame} of video {video!r}")
        return np.array(self._arrays[video][row])

    def digest(self, video: str | None = None, frames: Sequence[int] | None = None) -> str:
        """SHA-256 over the manifests, which hold the hashes of sources and pictures.

        With a video: over its manifest alone, and these frames of it.
        """
        content = self._manifests if video is None else [self._manifests[video], frames]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def _open(self, video: str) -> None:
        if video not in self._manifests:
            raise self._lacking(f"no video {video!r}")
        frames = self._manifests[video]["frames"]
        path = self.folder / f"{video}.npy"
        try:
            array = np.load(path, mmap_mode="r")
        except (OSError, ValueError) as error:
            raise FrameCacheError(f"{path}: {error}") from error
        expected = (len(frames), self.size, self.size, 3)
        if array.shape != expected:
            raise FrameCacheError(
                f"{path}: shape {array.shape} (expected {expected}, by its manifest)"
            )
        self._arrays[video] = array
        self._rows[video] = {frame: row for row, frame in enumerate(frames)}

    def _lacking(self, what: str) -> FrameCacheError:
        command = f"clipassistnet frames DATASET {self.folder} --size SIZE"
        return FrameCacheError(f"{self.folder}: {what} (the cache is made by: {command})")

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_arrays": {}, "_rows": {}}


def _manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        return {"size": manifest["size"], "frames": manifest["frames"], **manifest}
    except (ValueError, KeyError, TypeError) as error:
        raise FrameCacheError(f"{path}: not the manifest of a frame cache") from error
