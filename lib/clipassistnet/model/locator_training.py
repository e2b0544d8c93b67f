"""Training a locator's heads on boxes (boxes.csv of the dataset folder)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clipassistnet import transforms
from clipassistnet.model.cutting import WINDOW, crop, in_window
from clipassistnet.model.locator import Locator, cell_centres

# How far a first look misses on patients whom it has not seen (316 real frames): the standard
# deviation of the centre in sides of the box, and of the logarithm of the sides.
OFF_CENTRE, OFF_SIZE = 0.22, 0.25


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
    _require_area(boxes[~np.isnan(boxes).all(axis=1)])
    size = locator.spec["image_size"]
    maps, targets = [locator.features(frames, size).half().numpy()], [boxes]
    view = transforms.views()
    for number in range(views):
        shown = [
            transforms.augment_boxed(view, frame, box, (number, seed))
            for frame, box, seed in zip(frames, boxes, seeds)
        ]
        pictures = np.stack([picture for picture, _ in shown])
        maps.append(locator.features(pictures, size).half().numpy())
        targets.append(np.stack([box for _, box in shown]))
    return np.concatenate(maps), np.concatenate(targets).astype(np.float32)


def shown_windows(
    locator: Locator, frames: np.ndarray, boxes: np.ndarray, *, seeds: Sequence[int], windows: int
) -> tuple[np.ndarray, np.ndarray]:
    """What the head for closer looks is trained on: windows around boxes that are somewhat wrong.

    Args:
        locator: any of this trunk.
        frames, boxes: uint8 RGB (N, S, S, 3), and (N, 4) as shares of a frame; all have one.
        seeds: one a frame; they decide the windows.
        windows: of each frame, at least 1. All but the first are shown in another view as well.

    Returns:
        Maps float16 (N * windows, 112, h, w), and boxes float32 (N * windows, 4) as shares of the
        window.

    Raises:
        ValueError: a box has no area.
    """
    _require_area(boxes)
    maps, targets, size = [], [], locator.spec["window_size"]
    view = transforms.views()
    for number in range(windows):
        pictures, found = [], []
        for frame, box, seed in zip(frames, boxes, seeds):
            guess = _missed(box, np.random.default_rng((number, seed)))
            picture, target = crop(frame, guess, size, WINDOW), in_window(frame, guess, box)
            if number:
                picture, target = transforms.augment_boxed(view, picture, target, (number, seed))
            pictures.append(picture)
            found.append(target)
        maps.append(locator.features(np.stack(pictures), size).half().numpy())
        targets.append(np.stack(found))
    return np.concatenate(maps), np.concatenate(targets).astype(np.float32)


def _missed(box: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A box (4,) as wrong as a first look's."""
    side = box[2:] - box[:2]
    middle = (box[:2] + box[2:]) / 2 + rng.normal(size=2) * OFF_CENTRE * side
    half = side * np.exp(rng.normal(size=2) * OFF_SIZE) / 2
    return np.concatenate([middle - half, middle + half])


def _require_area(boxes: np.ndarray) -> None:
    if not (boxes[:, 2:] > boxes[:, :2]).all() or np.isnan(boxes).any():
        raise ValueError("locator: boxes with x0 < x1 and y0 < y1 expected")


def fit(head: nn.Module, maps: np.ndarray, boxes: np.ndarray, *, seed: int, epochs: int) -> None:
    """Train a head of a locator in place on its trunk's maps and their boxes.

    Raises ValueError where no picture has a box.
    """
    if np.isnan(boxes).all():
        raise ValueError(f"locator: none of {len(maps)} training pictures has a box")
    shown, targets = torch.from_numpy(maps), torch.from_numpy(boxes)
    order, batches = np.random.default_rng(seed), -(-len(maps) // 16)
    optimizer = torch.optim.AdamW(head.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=epochs * batches)
    head.train()
    for _ in range(epochs):
        for rows in np.array_split(order.permutation(len(maps)), batches):
            optimizer.zero_grad()
            loss(head(F.dropout2d(shown[rows].float(), 0.1)), targets[rows]).backward()
            optimizer.step()
            schedule.step()
    head.eval()
