"""Frames in memory, a table of them and a tiny training: stand-ins for the real ones."""

import numpy as np
import pandas as pd

from clipassistnet.training import Settings


class MemoryCache:
    """What training needs of a frame cache."""

    def __init__(self, frames: dict):
        self.frames = frames

    def get(self, video: str, frame: int) -> np.ndarray:
        return self.frames[video, frame]

    def digest(self, video: str | None = None, frames: list[int] | None = None) -> str:
        return f"memory {video} {frames}"


def bright_squares(frames: int, size: int = 32, videos: int = 4, seed: int = 0):
    """A cache and a table (video, frame, target): noise, bright in the middle where target = 1."""
    rng = np.random.default_rng(seed)
    pictures, rows = {}, []
    for i in range(frames):
        picture, target = rng.integers(0, 120, (size, size, 3), dtype=np.uint8), i % 2
        if target:
            picture[size // 4 : -size // 4, size // 4 : -size // 4] += 130
        pictures[f"v{i // 2 % videos}", i] = picture
        rows.append((f"v{i // 2 % videos}", i, target))
    return MemoryCache(pictures), pd.DataFrame(rows, columns=["video", "frame", "target"])


def tiny_settings(**changes) -> Settings:
    """A training that takes about a second: the last stage of EfficientNet-Lite0, 32 pixels."""
    settings = {
        "backbone": "tf_efficientnet_lite0",
        "weights": "imagenet",
        "trainable_stages": 1,
        "image_size": 32,
        "loss": "bce",
        "learning_rate": 1e-3,
        "batch_size": 8,
        "accumulate": 1,
        "epochs": 2,
        "seed": 3,
    }
    return Settings(**settings | changes)
