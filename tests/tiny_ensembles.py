"""Untrained ensembles of small networks, whose scores differ between frames."""

import numpy as np
import torch
from torch import nn

from clipassistnet.model import EnsembleModule, build

SIZE = 64


def member(backbone: str = "test_resnet") -> nn.Module:
    """An untrained network with widened logits, so that its scores differ between frames."""
    model = build(backbone, "none")
    model.spec["image_size"] = SIZE
    head = [layer for layer in model.modules() if isinstance(layer, nn.Linear)][-1]
    with torch.no_grad():
        head.weight.mul_(30)
    return model


def tiny_ensemble(seed: int = 0) -> EnsembleModule:
    """Two members of unequal weight."""
    torch.manual_seed(seed)
    return EnsembleModule([member(), member()], [3.0, 1.0]).eval()


def blobs(number: int = 40) -> np.ndarray:
    """Frames of blobs, each of its own colour and place, 48 x 80."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (number, 6, 10, 3), np.uint8)
    return coarse.repeat(8, axis=1).repeat(8, axis=2)
