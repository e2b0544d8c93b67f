"""Locators for the crops of a study: none finds the clip applier in a patient whom it has seen.

All networks that are judged on the same patients share one locator, trained on every other
patient. The patients of a fold are searched by a locator that was trained without that fold. So
the boxes are as good as on new patients, both where a network validates and, with `cross_fitted`,
where it learns. The boxes, not the labels, of a fold that validates help to find the others.

A dataset without boxes trains no locator. The one that comes with the project then finds the clip
applier in every frame.
"""

import hashlib
import json
import zlib
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from clipassistnet import files
from clipassistnet.data.frame_cache import FrameCache
from clipassistnet.data.tool_boxes import TOOL
from clipassistnet.model import crops, locator, locator_training
from clipassistnet.model.crops import KEY, CroppedFrames
from clipassistnet.model.locator import CORNERS, Locator

PICTURES = 1500  # views of frames with a clip applier that a locator should see: few frames, more
MOST_VIEWS, EPOCHS = 3, 5
# With a clip applier, that a locator sees, evenly from all videos. On simulated videos its boxes
# then have a mean IoU of 0.82 on new patients.
MOST_FRAMES = 1000
SHIPPED = str(Path(__file__).parent / "heads" / "m2cai" / locator.FILE)  # trained on real frames
FRAMES, WINDOWS = ("maps", "boxes"), ("window_maps", "window_boxes")  # in a file of what is shown


class Crops(NamedTuple):
    """The crops of a training, their boxes, and the locator of all patients but the judged ones.

    In a dataset without boxes the locator is the one that comes with the project.
    """

    frames: CroppedFrames
    boxes: pd.DataFrame  # as from `crops.find_boxes`; presence is NaN where the box is the true one
    locator: Locator


def crop(
    cache: FrameCache,
    boxes: pd.DataFrame,
    parts: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame],
    train: pd.DataFrame,
    *,
    size: int,
    margin: float,
    cross_fitted: bool,
    seed: int,
    folder: Path,
) -> Crops:
    """Train the locators of a training and crop its frames.

    A training frame is cropped to its true box where it has one, every other frame to a found box.

    Args:
        cache: of the frames.
        boxes: true ones, from `tool_boxes.of_clip_applier`; without rows nothing is trained.
        parts: training, validation and judged frames (`folds.split`, protocol "all"), with subset.
        train: the frames that train the classifier.
        size: edge of the crops in pixels.
        margin: factor that enlarges each box.
        cross_fitted: crops of `train` at found boxes are there as well (`CroppedFrames.again`). A
            head that learns from them too knows how a locator errs.
        seed: of the locators.
        folder: where locators and boxes are kept by their content. Processes share the work.

    Raises:
        ValueError: a video is in two of the parts, no frame of a locator has a box, or the locator
            that comes with the project was trained on one of the patients.
    """
    _apart(parts)
    if boxes.empty:
        return _found_by_shipped(cache, parts, size, margin, folder)
    known = pd.concat(parts[:2])
    known = known.drop_duplicates(KEY)[[*KEY, "subset"]]
    bare = train[KEY].drop_duplicates().merge(boxes, on=KEY, how="left").query("x0.isna()")
    wanted = train if cross_fitted else bare
    searched = pd.concat([wanted[KEY].drop_duplicates(), parts[1][KEY]]).merge(known, on=KEY)
    without = [*sorted(searched["subset"].unique()), None]  # None: of all but the judged patients
    paths = _fit(cache, boxes, known, without, seed, folder)
    network = locator.load(paths[None])
    inner = _search(cache, searched, paths, folder)
    judged = crops.find_boxes(network, cache, parts[2].drop_duplicates(KEY), folder)
    learnt = inner.merge(train[KEY].drop_duplicates(), on=KEY)
    own = boxes.merge(train[KEY].drop_duplicates(), on=KEY)
    validated = inner.merge(parts[1][KEY], on=KEY)
    used = own, learnt.merge(bare[KEY], on=KEY), validated, judged
    shown = pd.concat([part for part in used if len(part)], ignore_index=True)
    again = CroppedFrames(cache, learnt, size, margin) if cross_fitted else None
    return Crops(CroppedFrames(cache, shown, size, margin, again), shown, network)


def _found_by_shipped(
    cache: FrameCache, parts: tuple[pd.DataFrame, ...], size: int, margin: float, folder: Path
) -> Crops:
    frames = pd.concat(parts).drop_duplicates(KEY)
    if both := sorted(set(locator.patients(SHIPPED)) & set(frames["patient"])):
        raise ValueError(
            f"boxes.csv: no box of a {TOOL}, and the locator that comes with the project was "
            f"trained on the patients {', '.join(both)}: expected boxes, other patients, or a "
            "study without a recipe that crops"
        )
    print("No boxes: the locator that comes with the project finds the clip applier.")
    network = locator.load(SHIPPED)
    found = crops.find_boxes(network, cache, frames, folder)
    return Crops(CroppedFrames(cache, found, size, margin), found, network)


def _search(
    cache: FrameCache, frames: pd.DataFrame, paths: dict[str | None, Path], folder: Path
) -> pd.DataFrame:
    """Boxes of frames (with subset), each found by the locator that was trained without it."""
    found = [
        crops.find_boxes(locator.load(paths[str(subset)]), cache, rows, folder)
        for subset, rows in frames.groupby("subset")
    ]
    return pd.concat(found) if found else frames.reindex(columns=[*KEY, *CORNERS, "presence"])


def _apart(parts: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]) -> None:
    names = "training", "validation", "judged"
    for first, second in ((0, 1), (0, 2), (1, 2)):
        both = sorted(set(parts[first]["video"]) & set(parts[second]["video"]))
        if both:
            pair = f"{names[first]} and the {names[second]}"
            raise ValueError(f"crops: videos {both} are among the {pair} frames")


def _fit(
    cache: FrameCache,
    boxes: pd.DataFrame,
    known: pd.DataFrame,
    without: list[str | None],
    seed: int,
    folder: Path,
) -> dict[str | None, Path]:
    """Files of the locators that were trained without each of these subsets of `known` frames.

    As many frames without a box as with one take part of each video, drawn by the seed. What their
    heads are trained on is computed once for all.
    """
    maps = _maps(cache, boxes, known, seed, folder)
    subsets = known.drop_duplicates("video").set_index("video")["subset"]
    paths, makers = {}, {}
    for subset in without:
        shown = [path for video, path in maps.items() if subsets[video] != subset]
        if not shown:
            left_out = "" if subset is None else f" without subset {subset}"
            raise ValueError(f"locator: no training frame{left_out} has a box of a {TOOL}")
        content = json.dumps([[path.name for path in shown], seed, EPOCHS])
        name = f"locator-{hashlib.sha256(content.encode()).hexdigest()[:32]}.safetensors"
        paths[subset] = folder / name
        makers[folder / name] = partial(_train, shown, seed)
    files.make_missing(makers)
    return paths


def _train(shown: list[Path], seed: int, path: Path) -> None:
    network = locator.new(seed)
    for head, kind in ((network.head, FRAMES), (network.closer_head, WINDOWS)):
        parts = [np.load(each) for each in shown]
        maps, boxes = (np.concatenate([part[name] for part in parts]) for name in kind)
        locator_training.fit(head, maps, boxes, seed=seed, epochs=EPOCHS)
    locator.save(network, path)


def _maps(
    cache: FrameCache,
    boxes: pd.DataFrame,
    known: pd.DataFrame,
    seed: int,
    folder: Path,
) -> dict[str, Path]:
    """A file for each video with an applier: what locators learn from it (`shown_maps`)."""
    most = max(1, MOST_FRAMES // boxes["video"].nunique()) if len(boxes) > MOST_FRAMES else None
    views = int(np.clip(PICTURES // min(len(boxes), MOST_FRAMES) - 1, 0, MOST_VIEWS))
    network, paths, makers = locator.new(seed), {}, {}
    rows = known[KEY].sort_values(KEY).merge(boxes, on=KEY, how="left")
    for video, part in rows.groupby("video"):
        boxed, bare = part[part["x0"].notna()], part[part["x0"].isna()]
        if boxed.empty:
            continue
        boxed = boxed.sample(min(len(boxed), most or len(boxed)), random_state=seed)
        shown = pd.concat([boxed, bare.sample(min(len(bare), len(boxed)), random_state=seed)])
        content = f"{cache.digest(video)} {network.spec} {seed} {views} {shown.to_csv(index=False)}"
        name = f"maps-{hashlib.sha256(content.encode()).hexdigest()[:32]}.npz"
        paths[video] = folder / name
        makers[folder / name] = partial(_show, network, cache, shown, views, seed)
    files.make_missing(makers)
    return paths


def _show(
    network: Locator, cache: FrameCache, shown: pd.DataFrame, views: int, seed: int, path: Path
) -> None:
    seeds = [zlib.crc32(f"{seed} {v} {f}".encode()) for v, f in zip(shown["video"], shown["frame"])]
    pictures, corners = crops.pictures(cache, shown), shown[CORNERS].to_numpy(float).copy()
    whole = locator_training.shown_maps(network, pictures, corners, seeds=seeds, views=views)
    boxed = ~np.isnan(corners).any(axis=1)
    windows = locator_training.shown_windows(
        network,
        pictures[boxed],
        corners[boxed],
        seeds=np.array(seeds)[boxed].tolist(),
        windows=2 * (1 + views),  # as many as whole frames, half of which show no applier
    )
    np.savez(path, **dict(zip(FRAMES + WINDOWS, whole + windows, strict=True)))
