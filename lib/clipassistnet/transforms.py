"""From a frame to what the network sees: one preprocessing for training, saliency and live use.

Runs on Python 3.8 with torch, numpy and OpenCV alone; albumentations is imported where needed.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import torch


def resize(frame: np.ndarray, size: int) -> np.ndarray:
    """Resize a frame (H, W, 3) uint8 to (size, size, 3).

    The aspect is not kept, as in the paper. The frame cache and the live loop both call this
    function, so the network sees the same pixels from either. A frame that already has the size is
    returned as it is.
    """
    if frame.shape[:2] == (size, size):
        return frame
    return cv2.resize(frame, (size, size), interpolation=cv2.INTER_AREA)


def preprocess(
    frames: np.ndarray | torch.Tensor, size: int, mean: Sequence[float], std: Sequence[float]
) -> torch.Tensor:
    """Resize, scale to 0..1 and normalise: (N, H, W, 3) uint8 RGB -> (N, 3, size, size) float32.

    `mean` and `std` are per channel, on the 0..1 scale.

    Raises:
        ValueError: for any other shape or type. A float picture in 0..1 would otherwise be scaled
            twice without notice.
    """
    frames = frames.cpu().numpy() if isinstance(frames, torch.Tensor) else np.asarray(frames)
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
        raise ValueError(
            f"frames: got {frames.dtype} {frames.shape}, expected uint8 (N, H, W, 3) in RGB"
        )
    if frames.shape[1:3] != (size, size):
        frames = np.stack([resize(frame, size) for frame in frames])
    return normalise(frames, mean, std)


def normalise(pictures: np.ndarray, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """(N, H, W, 3) RGB in 0..255, uint8 or float32 -> (N, 3, H, W) float32, scaled and normalised.

    `mean` and `std` are per channel, on the 0..1 scale.
    """
    # A copy, because the frame cache is read-only and torch warns of such memory. The copy is made
    # by numpy: torch would use several threads, which spin for a while when they are done and slow
    # OpenVINO down (five ResNet-50 in int8 took 34 ms instead of 31).
    images = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2), dtype=np.float32)
    images /= np.float32(255)
    images -= np.asarray(mean, np.float32).reshape(1, 3, 1, 1)
    images /= np.asarray(std, np.float32).reshape(1, 3, 1, 1)
    return torch.from_numpy(images)


def _transforms(
    probability: float,
    rotation: float = 40,
    scale: tuple[float, float] = (0.7, 1.3),
    translation: float = 0.2,
    brightness: float = 0.2,
    contrast: tuple[float, float] = (-0.2, 0.25),
) -> dict[str, Callable]:
    """The five transforms by name."""
    # On import it looks up its newest version in a package registry, and hangs without a network.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations as A

    common = {"border_mode": cv2.BORDER_REFLECT_101, "p": probability}
    shift = (-translation, translation)
    return {
        "rotation": A.Affine(rotate=(-rotation, rotation), **common),
        "scale": A.Affine(scale=scale, keep_ratio=True, **common),
        "translation": A.Affine(translate_percent={"x": shift, "y": shift}, **common),
        "brightness": A.RandomBrightnessContrast(
            brightness_limit=brightness, contrast_limit=0, p=probability
        ),
        "contrast": A.RandomBrightnessContrast(
            brightness_limit=0, contrast_limit=contrast, p=probability
        ),
    }


def augmentation(
    probability: float = 0.75,
    rotation: float = 40,
    scale: tuple[float, float] = (0.7, 1.3),
    translation: float = 0.2,
    brightness: float = 0.2,
    contrast: tuple[float, float] = (-0.2, 0.25),
) -> Any:
    """The paper's five independent transforms as an albumentations.Compose.

    Apply it with `augment`, which seeds it.

    Args:
        probability: of each transform.
        rotation: largest angle, in degrees, either way.
        scale: range of factors.
        translation: largest shift, as a share of each axis, either way.
        brightness: largest change, as a share of the full range, either way.
        contrast: range of relative changes.
    """
    import albumentations as A

    limits = (rotation, scale, translation, brightness, contrast)
    return A.Compose(list(_transforms(probability, *limits).values()))


def light() -> Any:
    """Changes of light, colour and sharpness, as an albumentations.Compose; apply with `augment`.

    They stand for other cameras, lamps and recorders; positions stay as they are.
    """
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # see _transforms
    import albumentations as A

    return A.Compose(
        [
            A.RandomBrightnessContrast(brightness_limit=0.2, contrast_limit=0.25, p=0.75),
            A.HueSaturationValue(10, 50, 0, p=0.75),
            A.RandomGamma((70, 140), p=0.5),
            A.OneOf([A.GaussianBlur(blur_limit=(3, 5)), A.Sharpen()], p=0.3),
            A.ImageCompression(quality_range=(40, 95), p=0.3),
        ]
    )


def views() -> Any:
    """Other views of a scene with boxes, as an albumentations.Compose; apply with `augment_boxed`.

    The scene is shifted, scaled, turned by up to 12 degrees and mirrored, in another light.
    """
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # see _transforms
    import albumentations as A

    shift = (-0.12, 0.12)
    moved = A.Affine(
        scale=(0.75, 1.3),
        keep_ratio=True,
        translate_percent={"x": shift, "y": shift},
        rotate=(-12, 12),
        rotate_method="ellipse",
        border_mode=cv2.BORDER_REFLECT_101,
    )
    boxes = A.BboxParams(format="albumentations", clip=True, min_visibility=0.3)
    return A.Compose([moved, A.HorizontalFlip(p=0.5), *light()], bbox_params=boxes)


def augment_boxed(
    transform: Any, frame: np.ndarray, box: np.ndarray, seed: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Apply `views` to a frame and its box (4,), shares of the frame; only `seed` decides.

    The box is NaN where the frame has none, or where too little of it is left in the picture.
    """
    transform.set_random_state(np.random.default_rng(seed), random.Random(repr(list(seed))))
    boxes = np.empty((0, 4)) if np.isnan(box).any() else box[None]
    made = transform(image=frame, bboxes=boxes)
    left = np.asarray(made["bboxes"], float)
    return made["image"], left[0, :4] if len(left) else np.full(4, np.nan)


def augment(transform: Any, frame: np.ndarray, seed: Sequence[int]) -> np.ndarray:
    """Apply an albumentations transform to a frame (H, W, 3) uint8; only `seed` decides the result.

    albumentations ignores the seeds of numpy, random and torch. Its own `set_random_seed` and
    `Compose(seed=...)` give every transform the same random numbers, so that either all five or
    none would be applied, with equal rotation, scale and shift. Here the five share one generator.
    """
    transform.set_random_state(np.random.default_rng(seed), random.Random(repr(list(seed))))
    return transform(image=frame)["image"]


def transform(name: str) -> Any:
    """One of the five transforms, always applied, as notebook 03 shows it."""
    return _transforms(1.0)[name]


TRANSFORMS = ("rotation", "scale", "translation", "brightness", "contrast")
