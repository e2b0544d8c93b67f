"""Checks of an engine that was just built, on random pictures.

A saved engine has passed parity on real frames as well (saved_engine.py). One that is built from
checkpoints for the live loop has passed these checks alone, and is always float32.
"""

from __future__ import annotations

import copy
from typing import Callable

import numpy as np
import torch
from torch import nn

from clipassistnet.deploy.parity import TOLERANCE
from clipassistnet.deploy.predictor import BackendError


def require_connection(module: nn.Module, image_size: int) -> None:
    """Raise BackendError for a module whose output is not computed from its input at all."""
    frozen = copy.deepcopy(module).eval().requires_grad_(False)
    example = torch.rand(1, 3, image_size, image_size, requires_grad=True)
    if not frozen(example).requires_grad:
        raise BackendError("the network's output does not depend on its input")


def require_agreement(
    run: Callable[[torch.Tensor], np.ndarray], module: nn.Module, image_size: int, precision: str
) -> None:
    """Raise BackendError unless an engine answers random pictures as its module does.

    `run` takes preprocessed pictures (1, 3, S, S). In float32 the two must agree within the
    tolerance of parity, relative to the module's largest output where that is above 1. In lower
    precision, whose rounding errors on noise are no measure, the engine's output must only depend
    on the input. A network that was hardly trained may give every picture the same score: the
    engine may then do so as well.
    """
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 3, image_size, image_size, generator=generator)
    examples = [noise, 0.1 * noise, noise - 2, noise + 2]
    found = np.concatenate([run(example) for example in examples])
    with torch.no_grad():
        expected = torch.cat([module(example) for example in examples]).numpy()
    if np.ptp(found) == 0 and np.ptp(expected) > 1e-6:
        raise BackendError(f"the output does not depend on the input: always {found.flat[0]:.6f}")
    scale = max(1.0, float(np.abs(expected).max()))
    difference = float(np.abs(found - expected).max()) / scale
    if precision == "float32" and not difference <= TOLERANCE["float32"]:
        raise BackendError(
            f"float32 differs from PyTorch by {difference:.2g} on random pictures, "
            f"at most {TOLERANCE['float32']:g} is allowed"
        )
