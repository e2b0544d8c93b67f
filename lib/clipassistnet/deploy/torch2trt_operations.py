"""Which operations torch2trt converts: a network with any other is refused before conversion.

torch2trt turns an operation without a converter into a constant, and its converters ignore some
arguments. Both give wrong scores without an error. What is said of it here is of its commit 4e820ae
(JETSON.md), file torch2trt/converters/native_converters.py.
"""

from __future__ import annotations

import copy
from typing import Any, Callable

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode, resolve_name

from clipassistnet.model import layers

# What torch2trt converts, as `operations` names it: `a + b` is Tensor.add and `a += b` Tensor.add_.
CONVERTERS = frozenset(
    [
        "torch.nn.functional.conv2d",
        "torch.nn.functional.batch_norm",
        "torch.nn.functional.relu",
        "torch.nn.functional.relu6",
        "torch.nn.functional.max_pool2d",
        "torch.nn.functional.avg_pool2d",
        "torch.nn.functional.adaptive_avg_pool2d",
        "torch.nn.functional.dropout",
        "torch.nn.functional.dropout2d",
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

_INSPECTIONS = {"torch.Tensor.dim", "torch.Tensor.size", "torch._assert"}  # they compute nothing


class _Recorder(TorchFunctionMode):
    """Notes every outermost torch call, which is the level at which torch2trt works."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_function__(
        self, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        name = resolve_name(function) or f"{function.__module__}.{function.__name__}"
        result = function(*args, **(kwargs or {}))
        # Attributes such as x.shape compute nothing; those that are tensors (x.data, x.T) do.
        if not name.endswith(".__get__") or isinstance(result, torch.Tensor):
            self.names.add(name + _ignored_argument(name, args, kwargs or {}))
        return result


class _ReLU6(nn.Module):
    """nn.ReLU6 calls hardtanh, for which torch2trt has no converter; it has one for F.relu6."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu6(x)


def operations(module: nn.Module, image_size: int) -> set[str]:
    """Names of the torch operations in a forward pass, such as "torch.nn.functional.conv2d".

    Where the operation has an argument that torch2trt ignores, the name says so. torch2trt converts
    a module whose operations all lie within CONVERTERS.
    """
    example = torch.rand(1, 3, image_size, image_size)
    recorder = _Recorder()
    with torch.no_grad(), recorder:
        module(example)
    return recorder.names - _INSPECTIONS


def convertible(module: nn.Module) -> nn.Module:
    """A copy in eval mode with the same results, with ReLU6 in the form that torch2trt converts."""
    copied = copy.deepcopy(module).eval()
    return layers.replace(copied, lambda layer: _ReLU6() if isinstance(layer, nn.ReLU6) else None)


def _ignored_argument(name: str, args: tuple, kwargs: dict[str, Any]) -> str:
    """What torch2trt would ignore in this call, in words; "" where it ignores nothing."""

    def argument(place: int, key: str, default: Any) -> Any:
        return args[place] if len(args) > place else kwargs.get(key, default)

    operation = name.rpartition(".")[2]
    if operation == "max_pool2d" and _pair(argument(4, "dilation", 1)) != (1, 1):
        return " with dilation"
    if operation == "avg_pool2d" and argument(6, "divisor_override", None) is not None:
        return " with divisor_override"
    if operation == "avg_pool2d" and argument(4, "ceil_mode", False):
        # TensorRT counts what lies beyond the padding, PyTorch does not.
        return " with ceil_mode and padding" if argument(5, "count_include_pad", True) else ""
    if operation in ("dropout", "dropout2d") and argument(2, "training", True):
        return " while training"
    if operation == "adaptive_avg_pool2d":
        sides = args[0].shape[-2:]
        wanted = _pair(argument(1, "output_size", 1))
        if any(out and side % out for side, out in zip(sides, wanted)):
            return f" from {sides[0]} x {sides[1]} to {wanted[0]} x {wanted[1]}"
    return ""


def _pair(value: Any) -> tuple:
    return (value, value) if isinstance(value, int) else tuple(value)
