"""Engines by torch2trt. It fails silently in many ways; here each of them is an error.

torch2trt is the commit that JETSON.md names. Its behaviour was read in its source and tried on a
CPU; no GPU has run it here.
"""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import torch
from torch import nn

from clipassistnet.deploy import tensorrt_engine
from clipassistnet.deploy.predictor import BackendError
from clipassistnet.deploy.torch2trt_operations import CONVERTERS, convertible, operations

start = tensorrt_engine.start  # torch2trt's own TRTModule checks neither device, type nor shape


def build(
    ensemble: nn.Module,
    image_size: int,
    precision: str,
    calibration: torch.Tensor | None,
    folder: Path,
) -> None:
    """Write the ensemble as a TensorRT engine of one frame into `folder`, by torch2trt on a GPU.

    Raises BackendError for an operation without a converter and for an engine that was not built,
    which torch2trt does not report, and for float32 on a GPU that would compute it in TF32.
    """
    from torch2trt import torch2trt

    if precision == "float32" and has_tf32():
        raise BackendError(
            "torch2trt: float32 would be TF32 (mantissas of 11 bits) on this GPU, and torch2trt "
            "cannot switch that off; take float16, or float32 of the backend tensorrt"
        )
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
    except Exception as error:  # converters and TensorRT raise many kinds; "auto" goes on
        raise BackendError(f"torch2trt: conversion failed ({error!r})") from error
    _refuse("unsupported methods", unsupported_methods(printed.getvalue()))
    if converted.engine is None:
        raise BackendError("torch2trt: TensorRT built no engine")
    (folder / tensorrt_engine.PLAN).write_bytes(bytearray(converted.engine.serialize()))


def has_tf32() -> bool:
    """Whether TensorRT computes float32 in TF32 on this GPU unless that is switched off."""
    return torch.cuda.get_device_capability() >= (8, 0)  # Ampere: an Orin, not a Xavier


def unsupported_methods(printed: str) -> set[str]:
    """Methods that torch2trt's printed warnings name; their results become constants."""
    return set(re.findall(r"unsupported method (\S+)", printed))


def _refuse(what: str, names: set[str]) -> None:
    if names:
        raise BackendError(
            f"torch2trt: {what}: {', '.join(sorted(names))}; a transformer has such operations: "
            "take the backend tensorrt, which goes by way of ONNX"
        )
