"""Crops of the clip applier instead of whole frames, for training and evaluation.

cross_fitting.py trains the locators that find the clip applier, and says who finds it in whom.
"""

import hashlib
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from clipassistnet import files
from clipassistnet.data.frame_cache import FrameCache
from clipassistnet.data.tool_boxes import KEY
from clipassistnet.model import cutting, locator
from clipassistnet.model.classifier import FrameClassifier
from clipassistnet.model.locator import CORNERS, Locator

BOXES = "boxes.parquet"  # beside the checkpoint of a classifier of crops: those of all its frames


class CroppedFrames:
    """The frames of a cache, each cropped to its box; to be used like the cache.

    `boxes`: table with video, frame and x0, y0, x1, y1 as shares of the frame, one row a frame. A
    box is enlarged by the factor `margin` before the frame is cropped to it. `again`: other crops
    of the training frames, from which a head on features learns as well.
    """

    def __init__(
        self,
        cache: FrameCache,
        boxes: pd.DataFrame,
        size: int,
        margin: float = 1.0,
        again: "CroppedFrames | None" = None,
    ):
        self.cache, self.size, self.margin, self.again = cache, size, margin, again
        rows = boxes[[*KEY, *CORNERS]].itertuples(index=False)
        self.boxes = {(video, int(frame)): np.array(box) for video, frame, *box in rows}

    @property
    def cropped_from(self) -> int:
        """Edge in pixels of the frames that crops are cut from."""
        return self.cache.size

    def get(self, video: str, frame: int) -> np.ndarray:
        """The crop of a cached frame, uint8 RGB (size, size, 3). KeyError where it has no box."""
        box = self.boxes[video, frame]
        return cutting.crop(self.cache.get(video, frame), box, self.size, self.margin)

    def digest(self, video: str | None = None, frames: Sequence[int] | None = None) -> str:
        """SHA-256 of what the crops depend on: of all, or of these frames of a video."""
        keys = self.boxes if video is None else [(video, frame) for frame in frames or ()]
        boxes = sorted([*key, *self.boxes[key].tolist()] for key in keys)
        content = json.dumps(
            [cutting.VERSION, self.cache.digest(video), self.size, self.margin, boxes]
        )
        return hashlib.sha256(content.encode()).hexdigest()


def find_boxes(
    network: Locator, cache: FrameCache, table: pd.DataFrame, folder: Path
) -> pd.DataFrame:
    """Boxes that a locator finds in the frames of a table (video, frame; each frame once).

    They are kept in `folder`, a file for these frames of a video. Processes share the work.
    Returns video, frame, x0, y0, x1, y1 as shares of the frame, and presence, p(applier there).
    """
    digest, paths = locator.digest(network), {}
    rows = {str(video): part[KEY] for video, part in table.groupby("video")}
    for video, part in rows.items():
        content = (
            f"{cutting.VERSION} {digest} {cache.digest(video, part['frame'].astype(int).tolist())}"
        )
        paths[video] = folder / f"boxes-{hashlib.sha256(content.encode()).hexdigest()[:32]}.parquet"
    files.make_missing(
        {path: partial(_find, network, cache, rows[video]) for video, path in paths.items()}
    )
    if not paths:
        return pd.DataFrame(columns=[*KEY, *CORNERS, "presence"])
    return pd.concat([pd.read_parquet(path) for path in paths.values()], ignore_index=True)


def _find(
    network: Locator, cache: FrameCache, rows: pd.DataFrame, path: Path, batch_size: int = 8
) -> None:
    found = []
    for start in range(0, len(rows), batch_size):
        part = rows.iloc[start : start + batch_size]
        corners, presence = network.find(pictures(cache, part))
        found.append(part.assign(**dict(zip(CORNERS, corners.T, strict=True)), presence=presence))
    pd.concat(found, ignore_index=True).to_parquet(path, index=False)


def as_judged(
    cache: FrameCache, classifier: FrameClassifier, checkpoint: Path
) -> "FrameCache | CroppedFrames":
    """The pictures of a classifier's training: whole frames of the cache, or its crops of them.

    The boxes of the crops lie beside the `checkpoint` of the classifier, in the file `BOXES`.
    """
    spec = classifier.spec
    if not spec.get("cropped"):
        return cache
    table = pd.read_parquet(checkpoint.with_name(BOXES))
    return CroppedFrames(cache, table, spec["image_size"], spec.get("crop_margin", 1.0))


def pictures(cache: "FrameCache | CroppedFrames", table: pd.DataFrame) -> np.ndarray:
    """Pictures uint8 RGB (N, S, S, 3) of the frames of a table (video, frame), in its order."""
    keys = zip(table["video"], table["frame"].astype(int), strict=True)
    return np.stack([cache.get(video, frame) for video, frame in keys])
