"""Crops of the clip applier instead of whole frames, for training and evaluation.

A classifier of crops is trained on crops around the true boxes of its training frames, and judged
on crops around the boxes that a locator finds. The locator is trained on the same training frames:
it never sees a judged patient.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from clipassistnet import files
from clipassistnet.data import video_source
from clipassistnet.data.dataset import Dataset, DatasetError
from clipassistnet.data.frame_cache import FrameCache
from clipassistnet.model import locator, locator_training
from clipassistnet.model.classifier import FrameClassifier
from clipassistnet.model.locator import CORNERS, Locator

KEY = ["video", "frame"]
TOOL = "Clipper"


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
        return locator.crop(self.cache.get(video, frame), box, self.size, self.margin)

    def digest(self, video: str | None = None, frames: Sequence[int] | None = None) -> str:
        """SHA-256 of what the crops depend on: of all, or of these frames of a video."""
        keys = self.boxes if video is None else [(video, frame) for frame in frames or ()]
        boxes = sorted([*key, *self.boxes[key].tolist()] for key in keys)
        content = json.dumps([self.cache.digest(video), self.size, self.margin, boxes])
        return hashlib.sha256(content.encode()).hexdigest()


def boxes(data: Dataset) -> pd.DataFrame:
    """Box of the clip applier of each frame that has one, as shares of the frame.

    Of several boxes in a frame the largest counts. Raises DatasetError where the dataset has none.
    """
    table = data.boxes
    if table is None or not (table["tool"] == TOOL).any():
        raise DatasetError([f"boxes.csv: no box of a {TOOL}; a locator is trained on boxes"])
    table = table[table["tool"] == TOOL].astype(dict.fromkeys(CORNERS, float))
    for video, rows in table.groupby("video"):
        height, width = video_source.original(data, video, rows["frame"].iloc[0]).shape[:2]
        table.loc[rows.index, CORNERS] /= [width, height, width, height]
    area = (table["x1"] - table["x0"]) * (table["y1"] - table["y0"])
    largest = table.assign(area=area).sort_values("area").drop_duplicates(KEY, keep="last")
    return largest.sort_values(KEY)[[*KEY, *CORNERS]].reset_index(drop=True)


def find_boxes(
    network: Locator, cache: FrameCache, table: pd.DataFrame, batch_size: int = 64
) -> pd.DataFrame:
    """Boxes that a locator finds in the frames of a table (video, frame).

    Returns video, frame, x0, y0, x1, y1 as shares of the frame, and presence, p(applier there).
    """
    found = []
    for start in range(0, len(table), batch_size):
        rows = table.iloc[start : start + batch_size][KEY]
        corners, presence = network.find(_pictures(cache, rows))
        found.append(rows.assign(**dict(zip(CORNERS, corners.T, strict=True)), presence=presence))
    return pd.concat(found, ignore_index=True)


def fit_locator(
    cache: FrameCache, boxes: pd.DataFrame, train: pd.DataFrame, *, seed: int, folder: Path
) -> Locator:
    """A locator trained on the frames of `train` (video, frame), or the one that was trained on
    the very same frames and boxes before: it is kept in `folder`.

    `boxes` as from `boxes`. As many frames without a box as with one take part, drawn by `seed`.
    """
    train = train[KEY].drop_duplicates().sort_values(KEY).merge(boxes, on=KEY, how="left")
    boxed, bare = train[train["x0"].notna()], train[train["x0"].isna()]
    negatives = bare.sample(min(len(bare), len(boxed)), random_state=seed)
    shown = pd.concat([boxed, negatives])
    content = f"{cache.digest()} {seed} {shown.to_csv(index=False)}"
    path = folder / f"locator-{hashlib.sha256(content.encode()).hexdigest()[:32]}.safetensors"
    with files.lock(path.with_suffix(".lock"), wait=True):
        if not path.exists():
            corners = shown[CORNERS].to_numpy()
            locator.save(locator_training.fit(_pictures(cache, shown), corners, seed=seed), path)
    return locator.load(path)


def cross_fitted_boxes(
    cache: FrameCache,
    boxes: pd.DataFrame,
    shown: pd.DataFrame,
    train: pd.DataFrame,
    *,
    seed: int,
    folder: Path,
) -> pd.DataFrame | None:
    """Boxes of the frames of `train` as a locator finds them in patients that it has not seen.

    Both tables have video, frame and subset. Of each subset the frames of `train` are searched by a
    locator that was trained on the frames of the other subsets in `shown`. A head that learns from
    such boxes too knows how a locator errs.
    Returns a table as `find_boxes`; None where there is only one subset.
    """
    subsets = sorted(shown["subset"].unique())
    found = []
    for subset in subsets if len(subsets) > 1 else []:
        others = shown[shown["subset"] != subset]
        network = fit_locator(cache, boxes, others, seed=seed, folder=folder)
        rows = train.loc[train["subset"] == subset, KEY].drop_duplicates()
        if len(rows):
            found.append(find_boxes(network, cache, rows))
    return pd.concat(found, ignore_index=True) if found else None


def crop_frames(
    cache: FrameCache,
    network: Locator,
    boxes: pd.DataFrame,
    train: pd.DataFrame,
    judged: pd.DataFrame,
    *,
    size: int,
    margin: float = 1.0,
    again: pd.DataFrame | None = None,
) -> CroppedFrames:
    """Crops (size, size, 3) of all frames of `train` and `judged` (video, frame).

    `boxes` as from `boxes`. A training frame is cropped to its true box where it has one, every
    other frame to the box that the locator `network` finds; boxes are enlarged by `margin`.
    `again` from `cross_fitted_boxes`. Raises ValueError where a video is in both tables.
    """
    both = sorted(set(train["video"]) & set(judged["video"]))
    if both:
        raise ValueError(f"crops: videos {both} are among the training and the judged frames")
    train = train[KEY].drop_duplicates().merge(boxes, on=KEY, how="left")
    boxed, bare = train[train["x0"].notna()], train[train["x0"].isna()]
    searched = pd.concat([bare, judged])[KEY]
    found = find_boxes(network, cache, searched) if len(searched) else searched
    others = None if again is None else CroppedFrames(cache, again, size, margin)
    return CroppedFrames(cache, pd.concat([boxed, found]), size, margin, others)


def fit_and_crop(
    cache: FrameCache,
    boxes: pd.DataFrame,
    shown: pd.DataFrame,
    train: pd.DataFrame,
    judged: pd.DataFrame,
    *,
    size: int,
    margin: float,
    cross_fitted: bool,
    seed: int,
    folder: Path,
) -> tuple[CroppedFrames, Locator]:
    """Train a locator on the frames `shown`; the crops of `train` and `judged`, and the locator.

    Arguments and errors as of `fit_locator` and `crop_frames`; with `cross_fitted` the crops of
    `train` at the boxes of `cross_fitted_boxes` are there as well.
    """
    network = fit_locator(cache, boxes, shown, seed=seed, folder=folder)
    again = None
    if cross_fitted:
        again = cross_fitted_boxes(cache, boxes, shown, train, seed=seed, folder=folder)
    cropped = crop_frames(
        cache, network, boxes, train, judged, size=size, margin=margin, again=again
    )
    return cropped, network


def find_crops(
    cache: FrameCache, network: Locator, table: pd.DataFrame, *, size: int, margin: float = 1.0
) -> CroppedFrames:
    """Crops (size, size, 3) of the frames of a table at the boxes that the locator finds."""
    return CroppedFrames(cache, find_boxes(network, cache, table), size, margin)


def as_judged(
    cache: FrameCache, classifier: FrameClassifier, checkpoint: Path, table: pd.DataFrame
) -> np.ndarray:
    """What a classifier judges of the frames of a table: pictures uint8 RGB (N, S, S, 3).

    Whole frames of the cache, or crops by the locator beside the classifier's `checkpoint`.
    """
    spec = classifier.spec
    source: FrameCache | CroppedFrames = cache
    if spec.get("cropped"):
        finder = locator.load(checkpoint.with_name(locator.FILE))
        margin = spec.get("crop_margin", 1.0)
        source = find_crops(cache, finder, table, size=spec["image_size"], margin=margin)
    return _pictures(source, table)


def _pictures(cache: FrameCache | CroppedFrames, table: pd.DataFrame) -> np.ndarray:
    keys = zip(table["video"], table["frame"].astype(int), strict=True)
    return np.stack([cache.get(video, frame) for video, frame in keys])
