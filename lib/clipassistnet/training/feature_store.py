"""Features of frames, computed once for all losses and folds of a study and kept on the disk."""

import hashlib
import json
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from clipassistnet import files, transforms
from clipassistnet.model import FrameClassifier
from clipassistnet.training import precision
from clipassistnet.training.batches import Frames


class FeatureStore:
    """Features of the frames of a cache, a file for these frames of a video and their pictures.

    What they depend on: the pictures (for crops the boxes as well), the frozen trunk, the blocks,
    the grid, and the precision in which this device computes them (`precision.of`). Processes that
    need the same files share the work.

    Args:
        folder: of the files; made where it is missing.
        classifier: on features (`model.build_on_features`).
        cache: of frames or crops of the classifier's size.
    """

    def __init__(self, folder: str | Path, classifier: FrameClassifier, cache: Frames):
        self.folder, self.classifier, self.cache = Path(folder), classifier, cache
        names = "trunk_sha256", "feature_blocks", "feature_grid", "image_size", "mean", "std"
        self._device = next(classifier.network.parameters()).device
        self._precision = precision.of(classifier.network, self._device.type)
        self._network = json.dumps([*(classifier.spec[name] for name in names), self._precision])

    def get(self, table: pd.DataFrame) -> np.ndarray:
        """Features float32 (N, D) of the frames of a table (video, frame), in its order.

        A frame may stand in several rows, one for each of its labels. Frames that are labelled
        absent have a file of their own: they are scored, but seldom train or validate.
        """
        rows = table.reset_index(drop=True)
        absent = rows["label"] == "absent" if "label" in rows else np.zeros(len(rows), bool)
        parts = {
            (str(video), kind): part for (video, kind), part in rows.groupby(["video", absent])
        }
        frames = {key: np.unique(part["frame"].astype(int)) for key, part in parts.items()}
        paths = {key: self._path(key[0], wanted.tolist()) for key, wanted in frames.items()}
        files.make_missing(
            {path: partial(self._make, key[0], frames[key]) for key, path in paths.items()}
        )
        found: np.ndarray | None = None
        for key, part in parts.items():
            stored = np.load(paths[key])
            if found is None:
                found = np.empty((len(rows), stored.shape[1]), stored.dtype)
            found[part.index] = stored[np.searchsorted(frames[key], part["frame"].astype(int))]
        if found is None:
            raise ValueError("features: a table of at least one frame expected")
        return found

    def _path(self, video: str, frames: list[int]) -> Path:
        content = json.dumps([self.cache.digest(video, frames), self._network])
        return self.folder / f"{hashlib.sha256(content.encode()).hexdigest()[:32]}.npy"

    def _make(self, video: str, frames: np.ndarray, path: Path) -> None:
        np.save(path, self._computed(self.cache.get(video, int(frame)) for frame in frames))

    def _computed(self, pictures: Iterator[np.ndarray], batch_size: int = 16) -> np.ndarray:
        spec, network = self.classifier.spec, self.classifier.network
        stacked, parts = iter(lambda: list(islice(pictures, batch_size)), []), []
        mixed = precision.autocast(self._precision, self._device.type)
        with torch.inference_mode(), mixed:
            for batch in stacked:
                pixels = np.stack(batch)
                images = transforms.preprocess(
                    pixels, spec["image_size"], spec["mean"], spec["std"]
                )
                parts.append(network.features(images.to(self._device)).float().cpu().numpy())
        return np.concatenate(parts)


def stores(folder: str | Path, classifier: FrameClassifier, cache: Frames) -> list[FeatureStore]:
    """What a head learns from: each store has all training frames, the first has others as well.

    They are of the pictures of the cache and, where it has such, of its other crops of them
    (`CroppedFrames.again`).
    """
    again = getattr(cache, "again", None)
    shown = [cache] if again is None else [cache, again]
    return [FeatureStore(folder, classifier, each) for each in shown]
