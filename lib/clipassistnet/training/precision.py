"""The precision of a training: mixed with 16 bits wherever the device is faster so.

Only training steps and features of a frozen network are computed in it. Weights and validation
scores of a network that is trained end to end stay float32.
"""

import contextlib

import torch
from torch import nn

from clipassistnet.identity import hardware

FLOAT32, BFLOAT16, FLOAT16 = "32-true", "bf16-mixed", "16-mixed"  # Lightning's names
TYPES = {BFLOAT16: torch.bfloat16, FLOAT16: torch.float16}


def of(network: nn.Module, device: str) -> str:
    """The precision for a network on this device ("cpu" or "cuda").

    A GPU takes bfloat16, or float16 with scaled gradients where it has no bfloat16. A CPU takes
    bfloat16 where it has such instructions. Measured with AVX-512: a step of ResNet-50 and the
    features of a ViT-S then take little more than half the time. Depthwise convolutions take
    longer, so networks with them stay in float32. No GPU was there to measure.
    """
    if device == "cuda":
        native = torch.cuda.get_device_capability() >= (8, 0)
        return BFLOAT16 if native else FLOAT16
    grouped = any(isinstance(m, nn.Conv2d) and m.groups > 1 for m in network.modules())
    return BFLOAT16 if hardware.has_bfloat16() and not grouped else FLOAT32


def autocast(precision: str, device: str) -> contextlib.AbstractContextManager:
    """The context in which torch computes in a precision of `of`."""
    dtype = TYPES.get(precision)
    return torch.autocast(device, dtype) if dtype else contextlib.nullcontext()
