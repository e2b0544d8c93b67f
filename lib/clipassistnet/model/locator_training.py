"""Training a locator's head on boxes (boxes.csv of the dataset folder)."""

from __future__ import annotations

from collections.abc import Sequence

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


def shown_maps(
    locator: Locator, frames: np.ndarray, boxes: np.ndarray, *, seeds: Sequence[int], views: int
) -> tuple[np.ndarray, np.ndarray]:
    """What a locator's head is trained on: the frozen trunk's maps of frames, and their boxes.

    Each frame is shown as it is and in so many other `views` (transforms.views).

    Args:
        locator: any of this trunk.
        frames, boxes: uint8 RGB (N, S, S, 3), and (N, 4) as shares of a frame; NaN without one.
        seeds: one a frame; they decide the views.
        views: at least 0.

    Returns:
        Maps float16 (N * (1 + views), 112, h, w), and boxes float32 (N * (1 + views), 4).

    Raises:
        ValueError: a box has no area.
    """
    boxed = ~np.isnan(boxes).all(axis=1)
    if not (boxes[boxed][:, 2:] > boxes[boxed][:, :2]).all() or np.isnan(boxes[boxed]).any():
        raise ValueError("locator: boxes with x0 < x1 and y0 < y1 expected")
    maps, targets = [locator.features(frames).half().numpy()], [boxes]
    for number in range(views):
        view = transforms.views()
        shown = [
            transforms.augment_boxed(view, frame, box, (number, seed))
            for frame, box, seed in zip(frames, boxes, seeds)
        ]
        maps.append(locator.features(np.stack([picture for picture, _ in shown])).half().numpy())
        targets.append(np.stack([box for _, box in shown]))
    return np.concatenate(maps), np.concatenate(targets).astype(np.float32)


def fit(locator: Locator, maps: np.ndarray, boxes: np.ndarray, *, seed: int, epochs: int) -> None:
    """Train the head of a locator in place on its trunk's maps and their boxes (`shown_maps`).

    Raises ValueError where no frame has a box.
    """
    if np.isnan(boxes).all():
        raise ValueError(f"locator: none of {len(maps)} training pictures has a box")
    shown, targets = torch.from_numpy(maps), torch.from_numpy(boxes)
    order, batches = np.random.default_rng(seed), -(-len(maps) // 16)
    optimizer = torch.optim.AdamW(locator.head.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=epochs * batches)
    locator.train()
    for _ in range(epochs):
        for rows in np.array_split(order.permutation(len(maps)), batches):
            optimizer.zero_grad()
            loss(locator.head(F.dropout2d(shown[rows].float(), 0.1)), targets[rows]).backward()
            optimizer.step()
            schedule.step()
    locator.eval()
