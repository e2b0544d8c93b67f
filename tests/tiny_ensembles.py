"""Small networks for tests of deploy: untrained ones, and one whose scores are known by hand."""

import numpy as np
import torch
from torch import nn

from clipassistnet import deploy
from clipassistnet.model import TIP_INVISIBLE, EnsembleModule, build

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


class Brightness(nn.Module):
    """A network whose scores are known by hand: the mean of the frame, 0 to 1, and an offset."""

    def __init__(self, offset: float = 0.0) -> None:
        super().__init__()
        self.offset = offset
        self.spec = {"image_size": 8, "mean": [0.0] * 3, "std": [1.0] * 3}
        self.spec["predicts"] = TIP_INVISIBLE

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=(1, 2, 3)) + self.offset


def brightness(offset: float = 0.0) -> deploy.Predictor:
    """The predictor of Brightness in float32 PyTorch."""
    return deploy.load("torch", Brightness(offset), 8)


def greys() -> np.ndarray:
    """51 frames of one grey each: 0, 5, ... 250."""
    levels = np.arange(0, 255, 5, np.uint8)[:, None, None, None]
    return levels.repeat(8, 1).repeat(8, 2).repeat(3, 3)
