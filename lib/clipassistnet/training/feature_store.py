"""Features of frames, computed once for all losses and folds of a study and kept on the disk."""

import hashlib
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from clipassistnet import files, transforms
from clipassistnet.model import FrameClassifier
from clipassistnet.training.batches import Frames


class FeatureStore:
    """Features of the frames of a cache, one file a video and what its features depend on.

    What they depend on: the pictures (for crops the boxes as well), the frozen trunk, the blocks,
    and the grid. A file that another process computes is waited for.

    Args:
        folder: of the files; made where it is missing.
        classifier: on features (`model.build_on_features`).
        cache: of frames or crops of the classifier's size.
    """

    def __init__(self, folder: str | Path, classifier: FrameClassifier, cache: Frames):
        self.folder, self.classifier, self.cache = Path(folder), classifier, cache
        names = "trunk_sha256", "feature_blocks", "feature_grid", "image_size", "mean", "std"
        self._network = json.dumps([classifier.spec[name] for name in names])

    def get(self, table: pd.DataFrame) -> np.ndarray:
        """Features float32 (N, D) of the frames of a table (video, frame), in its order.

        A frame may stand in several rows, one for each of its labels.
        """
        rows = table.reset_index(drop=True)
        parts: dict[int, np.ndarray] = {}
        for video, part in rows.groupby("video"):
            frames, rows_of = np.unique(part["frame"].astype(int), return_inverse=True)
            found = self._of_video(str(video), frames.tolist())
            parts.update(zip(part.index, found[rows_of], strict=True))
        return np.stack([parts[row] for row in rows.index])

    def _of_video(self, video: str, frames: list[int]) -> np.ndarray:
        content = json.dumps([self.cache.digest(video, frames), self._network])
        path = self.folder / f"{hashlib.sha256(content.encode()).hexdigest()[:32]}.npy"
        with files.lock(path.with_suffix(".lock"), wait=True):
            if not path.exists():
                found = self._computed(self.cache.get(video, frame) for frame in frames)
                with files.whole(path) as part:
                    np.save(part, found)
        return np.load(path)

    def _computed(self, pictures: Iterator[np.ndarray], batch_size: int = 16) -> np.ndarray:
        spec, network = self.classifier.spec, self.classifier.network
        device, parts = next(network.parameters()).device, []
        stacked = iter(lambda: list(islice(pictures, batch_size)), [])
        with torch.inference_mode():
            for batch in stacked:
                pixels = np.stack(batch)
                images = transforms.preprocess(
                    pixels, spec["image_size"], spec["mean"], spec["std"]
                )
                parts.append(network.features(images.to(device)).cpu().numpy())
        return np.concatenate(parts)
