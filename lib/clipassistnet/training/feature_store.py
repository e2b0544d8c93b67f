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
    the grid, and the variants. A file that another process computes is waited for.

    Args:
        folder: of the files; made where it is missing.
        classifier: on features (`model.build_on_features`).
        cache: of frames or crops of the classifier's size.
    """

    def __init__(self, folder: str | Path, classifier: FrameClassifier, cache: Frames):
        self.folder, self.classifier, self.cache = Path(folder), classifier, cache
        names = "trunk_sha256", "feature_blocks", "feature_grid", "image_size", "mean", "std"
        self._network = json.dumps([classifier.spec[name] for name in names])

    def get(self, table: pd.DataFrame, copies: int = 0, seed: int = 0) -> np.ndarray:
        """Features float32 (N, 1 + copies, D) of the frames of a table (video, frame), in order.

        A frame may stand in several rows, one for each of its labels. Along the second axis: the frame as it is, then its variants, which `seed` decides.
        """
        rows = table.reset_index(drop=True)
        parts: dict[int, np.ndarray] = {}
        for video, part in rows.groupby("video"):
            frames, rows_of = np.unique(part["frame"].astype(int), return_inverse=True)
            found = self._of_video(str(video), frames.tolist(), copies, seed)
            parts.update(zip(part.index, found[rows_of], strict=True))
        return np.stack([parts[row] for row in rows.index])

    def _of_video(self, video: str, frames: list[int], copies: int, seed: int) -> np.ndarray:
        content = json.dumps([self.cache.digest(video, frames), self._network, copies, seed])
        path = self.folder / f"{hashlib.sha256(content.encode()).hexdigest()[:32]}.npy"
        with files.lock(path.with_suffix(".lock"), wait=True):
            if not path.exists():
                pictures = self._pictures(video, frames, copies, seed)
                found = self._computed(pictures).reshape(len(frames), 1 + copies, -1)
                with files.whole(path) as part:
                    np.save(part, found)
        return np.load(path)

    def _pictures(
        self, video: str, frames: list[int], copies: int, seed: int
    ) -> Iterator[np.ndarray]:
        for frame in frames:
            yield self.cache.get(video, frame)
            for copy in range(copies):
                yield self._variant(video, frame, (seed, frame, copy))

    def _variant(self, video: str, frame: int, seed: tuple[int, int, int]) -> np.ndarray:
        if hasattr(self.cache, "varied"):
            return self.cache.varied(video, frame, seed)
        return transforms.augment(transforms.augmentation(), self.cache.get(video, frame), seed)

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
