"""torch2trt, guarded: it fails silently in many ways, and each of them is an error here.

Facts about torch2trt 0.5.0: DESIGN section 6, and its converters/native_converters.py.
"""

from __future__ import annotations

import contextlib
import copy
import io
import re
from pathlib import Path
from typing import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode, resolve_name

from clipassistnet.deploy import tensorrt_engine
from clipassistnet.deploy.predictor import BackendError

# What torch2trt converts, as `operations` names it: `a + b` is Tensor.add and `a += b` Tensor.add_.
CONVERTERS = frozenset(
    [
        "torch.nn.functional.conv2d",
        "torch.nn.functional.batch_norm",
        "torch.nn.functional.relu",
        "torch.nn.functional.relu6",
        "torch.nn.functional.max_pool2d",
        "torch.nn.functional.adaptive_avg_pool2d",
        "torch.nn.functional.linear",
        "torch.nn.functional.softmax",
        "torch.Tensor.softmax",
        "torch.Tensor.add",
        "torch.Tensor.add_",
        "torch.Tensor.mul",
        "torch.Tensor.flatten",
        "torch.flatten",
        "torch.stack",
        "torch.Tensor.mean",
        "torch.mean",
    ]
)

# They look at a tensor and compute nothing.
_INSPECTIONS = {"torch.Tensor.dim", "torch.Tensor.size", "torch._assert"}


class _Recorder(TorchFunctionMode):
    """Notes every outermost torch call: the level at which torch2trt hooks in, too."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.names.add(resolve_name(function) or f"{function.__module__}.{function.__name__}")
        return function(*args, **(kwargs or {}))


class _ReLU6(nn.Module):
    """nn.ReLU6 calls hardtanh, for which torch2trt has no converter; it has one for F.relu6."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu6(x)


def operations(module: nn.Module, image_size: int) -> set[str]:
    """Names of the torch operations in a forward pass, such as "torch.nn.functional.conv2d".

    torch2trt can convert the module if they lie within CONVERTERS.
    """
    example = torch.rand(1, 3, image_size, image_size)
    recorder = _Recorder()
    with torch.no_grad(), recorder:
        module(example)
    inspections = {name for name in recorder.names if name.endswith(".__get__")} | _INSPECTIONS
    return recorder.names - inspections


def convertible(module: nn.Module) -> nn.Module:
    """A copy in eval mode, computing the same, with ReLU6 in the form that torch2trt converts."""
    module = copy.deepcopy(module).eval()
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.ReLU6):
                setattr(parent, name, _ReLU6())
    return module


def build(
    ensemble: nn.Module,
    image_size: int,
    precision: str,
    calibration: torch.Tensor | None,
    folder: Path,
) -> None:
    """Write the ensemble as a TensorRT engine of one frame into `folder`, by torch2trt on a GPU.

    Raises BackendError for an operation without a converter, and for an engine that was not built:
    torch2trt says nothing about either. TF32 stays as torch2trt leaves it, on: where the GPU has
    it (an Orin, not a Xavier), "float32" multiplies with mantissas of 11 bits.
    """
    from torch2trt import torch2trt

    module = convertible(ensemble)
    _refuse("operations without a converter", operations(module, image_size) - CONVERTERS)
    module = module.cuda()
    # Fresh: a conversion marks its example tensor, and a second one with the same tensor fails.
    example = torch.rand(1, 3, image_size, image_size, device="cuda")
    printed = io.StringIO()
    try:
        with torch.no_grad(), contextlib.redirect_stdout(printed):
            converted = torch2trt(
                module,
                [example],
                fp16_mode=precision == "float16",
                max_workspace_size=tensorrt_engine.WORKSPACE,
            )
    except Exception as error:  # whatever a converter or TensorRT raises, "auto" goes on
        raise BackendError(f"torch2trt: conversion failed ({error!r})") from error
    _refuse("unsupported methods", unsupported_methods(printed.getvalue()))
    if converted.engine is None:
        raise BackendError("torch2trt: TensorRT built no engine")
    (folder / tensorrt_engine.PLAN).write_bytes(bytearray(converted.engine.serialize()))


start = tensorrt_engine.start  # not torch2trt's TRTModule, which checks nothing it is given


def unsupported_methods(printed: str) -> set[str]:
    """Methods which torch2trt's printed warnings name; their results become constants."""
    return set(re.findall(r"unsupported method (\S+)", printed))


def require_dependence(
    run: Callable[[torch.Tensor], np.ndarray], module: nn.Module, image_size: int
) -> None:
    """Raise BackendError if frames of noise, darkness and light all get the very same score.

    Unless they get it from the module as well: one that was hardly trained may be that sure.
    """
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 3, image_size, image_size, generator=generator)
    examples = [noise, 0.1 * noise, noise - 2, noise + 2]
    scores = np.concatenate([run(example) for example in examples])
    with torch.no_grad():
        expected = torch.cat([module(example) for example in examples]).numpy()
    if np.ptp(scores) == 0 and np.ptp(expected) > 1e-6:
        raise BackendError(f"the output does not depend on the input: always {scores[0]:.6f}")


def _refuse(what: str, names: set[str]) -> None:
    if names:
        raise BackendError(f"torch2trt: {what}: {', '.join(sorted(names))}")
