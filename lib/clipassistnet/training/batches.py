"""Preprocessed frames for training, in another order each epoch."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from torch.utils.data import Dataset, Sampler

from clipassistnet import transforms
from clipassistnet.model import losses


class Frames(Protocol):
    """A source of frames, such as data.frame_cache.FrameCache or model.crops.CroppedFrames."""

    def get(self, video: str, frame: int) -> np.ndarray:
        """One frame, uint8 RGB (S, S, 3)."""

    def digest(self, video: str | None = None, frames: Sequence[int] | None = None) -> str:
        """What the frames are made from: of all, of one video, or of these frames of it."""


class FrameTable(Dataset):
    """Frames of a table (video, frame, target), preprocessed.

    An item is (image (3, S, S) float32, target, video_index), S the size of the cache's frames. The
    target is the column teacher_score where there is one (for the loss distilled). Augmentation
    depends on (seed, epoch, row) alone: not on global seeds, the order or the number of workers.
    """

    def __init__(
        self,
        cache: Frames,
        table: pd.DataFrame,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        augment: bool,
        seed: int = 0,
    ):
        self.cache, self.mean, self.std, self.seed, self.epoch = cache, mean, std, seed, 0
        self.keys = list(zip(table["video"], table["frame"].astype(int), strict=True))
        self.targets = table.get("teacher_score", table["target"].astype(int)).tolist()
        self.video_index = losses.video_index(table["video"]).tolist()
        self.transform = transforms.augmentation() if augment else None

    def __len__(self) -> int:
        return len(self.keys)

    def set_epoch(self, epoch: int) -> None:
        """Use the augmentations of this epoch from now on."""
        self.epoch = epoch

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int | float, int]:
        frame = self.cache.get(*self.keys[row])
        if self.transform:
            seed = (self.seed, self.epoch, row)
            frame = transforms.augment(self.transform, frame, seed)
        image = transforms.preprocess(frame[None], frame.shape[0], self.mean, self.std)[0]
        return image, self.targets[row], self.video_index[row]


class EpochOrder(Sampler[int]):
    """Another order of a table's rows each epoch, decided by (seed, epoch) alone.

    Lightning calls `set_epoch` of a sampler before each epoch, after a resume too.
    """

    def __init__(self, table: FrameTable):
        self.table = table

    def __len__(self) -> int:
        return len(self.table)

    def set_epoch(self, epoch: int) -> None:
        self.table.set_epoch(epoch)

    def __iter__(self) -> Iterator[int]:
        seed = (self.table.seed, self.table.epoch)
        return iter(np.random.default_rng(seed).permutation(len(self.table)).tolist())
