"""How even the greedy partition is, beside random ones."""

import numpy as np
import pandas as pd

from clipassistnet.data import folds as partition


def spread(subset: pd.Series, frames: pd.Series) -> int:
    """Frames of the largest subset minus those of the smallest.

    `subset`: video -> subset; `frames`: video -> number of frames.
    """
    sizes = frames.groupby(subset).sum()
    return int(sizes.max() - sizes.min())


def random_spreads(videos: pd.DataFrame, k: int, count: int, seed: int) -> np.ndarray:
    """`spread` of so many random partitions of the videos into k subsets: (count,).

    `videos`: video, patient, frames.
    """
    frames = videos.set_index("video")["frames"]
    drawn = [partition.random_partition(videos, k, seed + number) for number in range(count)]
    return np.array([spread(subset, frames) for subset in drawn])
