"""Saliency of frames by the networks that judge them, and how much of it lies on the tips."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd

from clipassistnet import transforms
from clipassistnet.data import video_source
from clipassistnet.data.cross_validation import Training
from clipassistnet.data.dataset import Dataset
from clipassistnet.data.frame_cache import FrameCache
from clipassistnet.model import classifier, crops, saliency

RADIUS = 0.05  # of the disc around a tip, as a share of the frame's side


class JudgedMaps(NamedTuple):
    """What networks judge and where they look, (N, S, S) each; pictures uint8 RGB (N, S, S, 3).

    on_tips: whether a pixel lies within `RADIUS` of a tip. method: of the regions.
    """

    pictures: np.ndarray
    region: np.ndarray
    pixels: np.ndarray
    on_tips: np.ndarray
    method: str


def explain(
    table: pd.DataFrame,
    checkpoints: Mapping[Training, Path],
    cache: FrameCache,
    tips: pd.DataFrame,
) -> JudgedMaps:
    """Saliency for the predicted class of every frame, by the network that judges it.

    Args:
        table: video, frame, score, held_out, fold; the last two name the network.
        checkpoints: model.safetensors of the networks, beside their boxes if they see crops.
        cache: of the frames, from which crops are cut.
        tips: from `tips_of`; may be empty.
    """
    paths = {(key.held_out, key.fold): path for key, path in checkpoints.items()}
    found: dict[str, list] = {"pictures": [], "region": [], "pixels": [], "on_tips": [], "row": []}
    method = ""
    for key, rows in table.reset_index(drop=True).groupby(["held_out", "fold"]):
        network = classifier.load(paths[key])
        pictures = crops.pictures(crops.as_judged(cache, network, paths[key]), rows)
        spec = network.spec
        inputs = transforms.preprocess(pictures, spec["image_size"], spec["mean"], spec["std"])
        predicted = (rows["score"] >= 0.5).astype(int).tolist()
        maps = saliency.explain(network, inputs, predicted)
        method = maps.method
        found["pictures"] += [*pictures]
        found["region"] += [*maps.region]
        found["pixels"] += [*maps.pixels]
        found["on_tips"] += [*_tips_as_judged(cache, network, paths[key], rows, tips)]
        found["row"] += rows.index.tolist()
    order = np.argsort(found.pop("row"))
    return JudgedMaps(
        **{name: np.stack(each)[order] for name, each in found.items()}, method=method
    )


def tips_of(data: Dataset) -> pd.DataFrame:
    """The tips of a dataset as shares of the frame: video, frame, x, y, visible_share.

    Empty where the dataset has none.
    """
    columns = ["video", "frame", "x", "y", "visible_share"]
    if data.tips is None:
        return pd.DataFrame(columns=columns)
    tips = data.tips[columns].astype({"x": float, "y": float})
    for video, rows in tips.groupby("video"):
        height, width = video_source.original(data, video, rows["frame"].iloc[0]).shape[:2]
        tips.loc[rows.index, ["x", "y"]] /= [width, height]
    return tips


def share_on_tips(table: pd.DataFrame, maps: JudgedMaps) -> pd.DataFrame:
    """How much of each frame's saliency lies on its own tips, and on those of the other frames.

    The second is what a network would reach that knows where tips usually are, but does not look
    for them. Frames without any saliency are left out.

    Args:
        table: of at least two frames.
        maps: `explain` of the table.

    Returns:
        The rows of the table with own and shuffled, shares of the saliency of the pixels.
    """
    weights = np.abs(maps.pixels).reshape(len(table), -1)
    total = weights.sum(axis=1)
    masks = maps.on_tips.reshape(len(table), -1).astype(float)
    shares = (weights @ masks.T) / np.where(total > 0, total, np.nan)[:, None]
    own = np.diag(shares)
    others = (shares.sum(axis=1) - own) / (len(table) - 1)
    return table.assign(own=own, shuffled=others)[total > 0]


class _Discs:
    """A picture for each frame that is white on its tips, to be used like a frame cache."""

    def __init__(self, tips: pd.DataFrame, size: int):
        self.size = size
        self.tips = {key: rows[["x", "y"]].to_numpy() for key, rows in tips.groupby(crops.KEY)}

    def get(self, video: str, frame: int) -> np.ndarray:
        picture = np.zeros((self.size, self.size, 3), np.uint8)
        for x, y in self.tips.get((video, frame), ()):
            place = round(float(x) * self.size), round(float(y) * self.size)
            cv2.circle(picture, place, max(1, round(RADIUS * self.size)), (255, 255, 255), -1)
        return picture


def _tips_as_judged(
    cache: FrameCache,
    network: classifier.FrameClassifier,
    checkpoint: Path,
    table: pd.DataFrame,
    tips: pd.DataFrame,
) -> np.ndarray:
    """Whether each pixel of the judged pictures lies on a tip: bool (N, S, S)."""
    discs: Any = _Discs(tips, cache.size)
    source, side = crops.as_judged(discs, network, checkpoint), network.spec["image_size"]
    keys = zip(table["video"], table["frame"].astype(int), strict=True)
    pictures = [cv2.resize(source.get(*key), (side, side)) for key in keys]
    return np.stack(pictures)[..., 0] > 200  # beyond the frame a crop is grey, at most 124
