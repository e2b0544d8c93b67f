"""Crops of the clip applier in the place of whole frames, for training and evaluation.

The classifier is trained on crops around the true boxes of training frames, which augmentation
shifts and scales, and judged on crops around the boxes that a locator finds. The locator has
learnt from the very same training frames: no judged patient has a say in where it looks.
"""

import hashlib
import json

import numpy as np
import pandas as pd

from clipassistnet.data import video_source
from clipassistnet.data.dataset import Dataset, DatasetError
from clipassistnet.model import locator
from clipassistnet.model.locator import CORNERS

KEY = ["video", "frame"]
TOOL = "Clipper"


class Crops:
    """The crops of a frame cache, in its place: `get`, `size`, `digest`.

    `boxes`: table with video, frame and x0, y0, x1, y1 as shares of the frame, one row a frame.
    KeyError for a frame without one.
    """

    def __init__(self, cache, boxes: pd.DataFrame, size: int):
        self.cache, self.size = cache, size
        rows = boxes[[*KEY, *CORNERS]].itertuples(index=False)
        self.boxes = {(video, int(frame)): np.array(box) for video, frame, *box in rows}

    @property
    def cropped(self) -> int:
        """Edge of the frames that crops are cut from. A checkpoint keeps it: see located.py."""
        return self.cache.size

    def get(self, video: str, frame: int) -> np.ndarray:
        """The crop of a cached frame, uint8 RGB (size, size, 3)."""
        return locator.crop(self.cache.get(video, frame), self.boxes[video, frame], self.size)

    def digest(self) -> str:
        """SHA-256 of the cache's digest and the boxes."""
        boxes = sorted([*key, *box.tolist()] for key, box in self.boxes.items())
        content = json.dumps([self.cache.digest(), self.size, boxes])
        return hashlib.sha256(content.encode()).hexdigest()


def boxes(data: Dataset) -> pd.DataFrame:
    """Box of the clip applier of each frame that has one, as shares of the frame.

    Of several in a frame the largest. DatasetError where the dataset has none at all.
    """
    table = data.boxes
    if table is None or not (table["tool"] == TOOL).any():
        raise DatasetError([f"boxes.csv: no box of a {TOOL}; a locator learns from boxes"])
    table = table[table["tool"] == TOOL].astype(dict.fromkeys(CORNERS, float))
    for video, rows in table.groupby("video"):
        height, width = video_source.original(data, video, rows["frame"].iloc[0]).shape[:2]
        table.loc[rows.index, CORNERS] /= [width, height, width, height]
    area = (table["x1"] - table["x0"]) * (table["y1"] - table["y0"])
    largest = table.assign(area=area).sort_values("area").drop_duplicates(KEY, keep="last")
    return largest.sort_values(KEY)[[*KEY, *CORNERS]].reset_index(drop=True)


def locate(network: locator.Locator, cache, table: pd.DataFrame, batch: int = 64) -> pd.DataFrame:
    """Boxes that a locator finds in the frames of a table: video, frame, x0 to y1, presence."""
    found = []
    for start in range(0, len(table), batch):
        rows = table.iloc[start : start + batch][KEY]
        corners, presence = network.find(_pictures(cache, rows))
        found.append(rows.assign(**dict(zip(CORNERS, corners.T, strict=True)), presence=presence))
    return pd.concat(found, ignore_index=True)


def located(
    cache, truth: pd.DataFrame, train: pd.DataFrame, judged: pd.DataFrame, *, size: int, seed: int
) -> tuple[locator.Locator, Crops]:
    """A locator that learnt from `train`, and crops of all frames of `train` and `judged`.

    `truth` as from `boxes`; `train` and `judged` hold video and frame. Training frames are cropped
    by their true box where they have one, all others by the box that the locator finds.
    ValueError where a video is in both.
    """
    both = sorted(set(train["video"]) & set(judged["video"]))
    if both:
        raise ValueError(f"locator: videos {both} would be trained on and judged")
    train = train[KEY].merge(truth, on=KEY, how="left")
    boxed, bare = train[train["x0"].notna()], train[train["x0"].isna()]
    negatives = bare.sample(min(len(bare), len(boxed)), random_state=seed)
    shown = pd.concat([boxed, negatives])
    network = locator.fit(_pictures(cache, shown), shown[CORNERS].to_numpy(), seed=seed)
    found = locate(network, cache, pd.concat([bare, judged])[KEY])
    return network, Crops(cache, pd.concat([boxed, found]), size)


def _pictures(cache, table: pd.DataFrame) -> np.ndarray:
    keys = zip(table["video"], table["frame"].astype(int), strict=True)
    return np.stack([cache.get(video, frame) for video, frame in keys])
