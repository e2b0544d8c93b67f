"""Frames as the network sees them while it trains, in another order each epoch."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from torch.utils.data import Dataset, Sampler

from clipassistnet import transforms
from clipassistnet.model import losses


class FrameTable(Dataset):
    """Frames of a table (video, frame, target) as the network sees them.

    An item is (image (3, S, S) float32, target, video_index), S the cache's size; the target is the
    teachers' score in a table that was `taught`, to be learnt from by loss distilled. Augmentation
    depends on (seed, epoch, row) alone: not on global seeds, the order or the number of workers.
    """

    def __init__(
        self,
        cache,
        table: pd.DataFrame,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        augment: bool,
        seed: int = 0,
    ):
        self.cache, self.mean, self.std, self.seed, self.epoch = cache, mean, std, seed, 0
        self.keys = list(zip(table["video"], table["frame"].astype(int), strict=True))
        self.targets = table.get("teachers", table["target"].astype(int)).tolist()
        self.video_index = losses.video_index(table["video"]).tolist()
        self.transform = transforms.augmentation() if augment else None

    def __len__(self) -> int:
        return len(self.keys)

    def set_epoch(self, epoch: int) -> None:
        """Draw other augmentations from now on."""
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
