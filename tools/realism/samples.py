"""Clipper frames of a dataset folder, real or simulated, with their labels and boxes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from clipassistnet.data import (
    annotation,
    dataset,
    frame_cache,
    frame_extraction,
    importers,
    video_source,
)
from clipassistnet.data.dataset import Dataset
from clipassistnet.data.importers import m2cai16
from realism import SIZE


@dataclass(frozen=True)
class Samples:
    """Frames with a clip applier.

    `table` has a row a frame: video, patient, frame, target (1: tip invisible), and of the
    clipper's box area, x and y (shares of the picture); `pictures` (N, SIZE, SIZE, 3) uint8 RGB.
    """

    dataset: Dataset
    cache: frame_cache.FrameCache
    table: pd.DataFrame
    pictures: np.ndarray


def real(source: Path, folder: Path) -> Samples:
    """Frames of m2cai16-tool-locations by their majority label; working files go to `folder`."""
    if not (folder / "videos.csv").exists():
        importers.save(m2cai16.read(source), folder)
    data = dataset.read(folder)
    return _samples(data, annotation.consensus(data.annotations), folder / "cache")


def simulated(source: Path, folder: Path) -> Samples:
    """Frames of a simulated dataset by their true label; working files go to `folder`."""
    data = dataset.read(source)
    if data.truth is None:
        raise ValueError(f"{source}: no truth.csv (expected a simulated dataset)")
    return _samples(data, data.truth, folder / "cache")


def _samples(data: Dataset, labels: pd.DataFrame, folder: Path) -> Samples:
    table = labels.loc[labels["label"] != "absent", ["video", "frame", "label"]]
    table = table.merge(data.videos[["video", "patient"]], on="video")
    table["target"] = (table["label"] == "invisible").astype(int)
    frame_extraction.extract(data, folder, SIZE, frames=table)
    cache = frame_cache.FrameCache(folder)
    keys = list(zip(table["video"], table["frame"], strict=True))
    pictures = np.stack([cache.get(video, frame) for video, frame in keys])
    boxes = data.boxes[data.boxes["tool"] == "Clipper"].groupby(["video", "frame"]).first()
    sizes = {video: _size(data, rows) for video, rows in table.groupby("video")}
    box = boxes.loc[keys]
    width, height = np.array([sizes[video] for video, _ in keys]).T
    table["area"] = ((box.x1 - box.x0) * (box.y1 - box.y0)).to_numpy() / (width * height)
    table["x"] = (box.x0 + box.x1).to_numpy() / (2 * width)
    table["y"] = (box.y0 + box.y1).to_numpy() / (2 * height)
    return Samples(data, cache, table.reset_index(drop=True), pictures)


def _size(data: Dataset, rows: pd.DataFrame) -> tuple[int, int]:
    """Width and height of a video's pictures."""
    height, width = video_source.original(
        data, rows["video"].iloc[0], int(rows["frame"].iloc[0])
    ).shape[:2]
    return width, height
