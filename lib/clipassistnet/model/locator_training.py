"""Training a locator's head on boxes (boxes.csv of the dataset folder)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from clipassistnet import transforms
from clipassistnet.model.locator import Locator, cell_centres


def encode(boxes: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
    """The maps that a locator is trained to give for boxes (N, 4), NaN where a frame has none.

    Confidence (N, 1, h, w), a bump over the middle of the box, and edge distances (N, 4, h, w).
    """
    x, y = cell_centres(maps)
    x0, y0, x1, y1 = (edge[:, None, None] for edge in boxes.unbind(1))
    cell = 1 / maps.shape[-1]
    across = (x - (x0 + x1) / 2) / ((x1 - x0) * 0.3).clamp_min(cell)
    down = (y - (y0 + y1) / 2) / ((y1 - y0) * 0.3).clamp_min(cell)
    confidence = torch.exp(-(across**2) - down**2).nan_to_num(0)
    distances = torch.stack([x - x0, y - y0, x1 - x, y1 - y], dim=1).nan_to_num(0)
    return confidence[:, None], distances


def loss(maps: Tensor, boxes: Tensor) -> Tensor:
    """Quality focal loss of the confidence, plus the error of the edges within the boxes.

    Li et al., NeurIPS 2020, with beta = 2.
    """
    confidence, distances = encode(boxes, maps)
    logits = maps[:, :1]
    entropy = F.binary_cross_entropy_with_logits(logits, confidence, reduction="none")
    focal = (entropy * (logits.sigmoid() - confidence) ** 2).sum() / len(maps)
    inside = torch.where(confidence > 0.25, confidence, torch.zeros_like(confidence))
    error = ((maps[:, 1:] - distances).abs() * inside).sum() / inside.sum().clamp_min(1)
    return focal + 10 * error


def fit(
    frames: np.ndarray, boxes: np.ndarray, *, seed: int, epochs: int = 5, views: int = 3
) -> Locator:
    """Train a locator's head on frames uint8 RGB (N, S, S, 3) and boxes (N, 4), shares of a frame.

    A row of NaN is a frame without an applier. Each frame is shown as it is and in so many other
    `views` (transforms.views), and the trunk's maps of all of them are computed once.
    Raises ValueError where no frame has a box, or a box has no area.
    """
    boxed = ~np.isnan(boxes).all(axis=1)
    if not boxed.any():
        raise ValueError(f"locator: none of {len(frames)} training frames has a box")
    if not (boxes[boxed][:, 2:] > boxes[boxed][:, :2]).all() or np.isnan(boxes[boxed]).any():
        raise ValueError("locator: boxes with x0 < x1 and y0 < y1 expected")
    torch.manual_seed(seed)
    locator = Locator()
    maps, targets = [locator.features(frames)], [boxes]
    for number in range(views):
        shown = _views(frames, boxes, (seed, number))
        while batch := list(islice(shown, 64)):  # in parts: all views of a study fill the memory
            maps.append(locator.features(np.stack([picture for picture, _ in batch])))
            targets.append(np.stack([box for _, box in batch]))
    train_head(locator, torch.cat(maps), np.concatenate(targets), seed=seed, epochs=epochs)
    return locator


def _views(
    frames: np.ndarray, boxes: np.ndarray, seed: tuple[int, int]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Another view of each frame, and its box in it."""
    view = transforms.views()
    for row, (frame, box) in enumerate(zip(frames, boxes)):
        yield transforms.augment_boxed(view, frame, box, (*seed, row))


def train_head(
    locator: Locator, maps: Tensor, boxes: np.ndarray, *, seed: int, epochs: int
) -> None:
    """Train the head in place on the trunk's maps (N, 112, h, w), as `fit` does."""
    targets = torch.tensor(boxes, dtype=torch.float32)
    order, batches = np.random.default_rng(seed), -(-len(maps) // 16)
    optimizer = torch.optim.AdamW(locator.head.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=epochs * batches)
    locator.train()
    for _ in range(epochs):
        for rows in np.array_split(order.permutation(len(maps)), batches):
            optimizer.zero_grad()
            loss(locator.head(F.dropout2d(maps[rows], 0.1)), targets[rows]).backward()
            optimizer.step()
            schedule.step()
    locator.eval()
