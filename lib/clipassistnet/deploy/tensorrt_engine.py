"""TensorRT without torch2trt: through ONNX, with NVIDIA's own parser and builder.

It works where torch2trt does not (TensorRT 11). `start` runs the engines of both.
"""

from __future__ import annotations

import copy
import inspect
import io
import math
import warnings
from pathlib import Path
from typing import Any, Callable

import numpy as np
import torch
from torch import nn

from clipassistnet.deploy.predictor import BackendError

PLAN = "network.plan"
WORKSPACE = 1 << 30  # bytes; torch2trt's default of 32 MiB starves the larger convolutions
_OPSET = 17


def build(
    ensemble: nn.Module,
    image_size: int,
    precision: str,
    calibration: torch.Tensor | None,
    folder: Path,
) -> None:
    """Write the ensemble as a TensorRT engine of one frame into `folder`; needs a GPU."""
    import tensorrt

    network = onnx_network(ensemble, image_size, precision)
    (folder / PLAN).write_bytes(compiled(tensorrt, network, precision))


class _Half(nn.Module):
    """Half precision inside, float32 outside."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module.half()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.module(images.half()).float()


def onnx_network(ensemble: nn.Module, image_size: int, precision: str = "float32") -> bytes:
    """The ensemble as an ONNX model: `frames` (1, 3, S, S) to `scores` (1,), both float32.

    float16 is part of the model, because TensorRT from version 11 on keeps the model's types.
    Needs the package onnx.
    """
    # Old releases of PyTorch convolve in half precision on the GPU alone.
    device = "cuda" if torch.cuda.is_available() else "cpu"
    module = copy.deepcopy(ensemble).eval()
    module = (_Half(module) if precision == "float16" else module).to(device)
    file = io.BytesIO()
    # The exporter that traces. The other one, by torch.export, takes ten times as long and needs
    # onnxscript, and the PyTorch of a JetPack may not have it.
    chosen = (
        {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
    )
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (torch.rand(1, 3, image_size, image_size, device=device),),
            file,
            input_names=["frames"],
            output_names=["scores"],
            opset_version=_OPSET,
            **chosen,
        )
    return file.getvalue()


def compiled(tensorrt: Any, network: bytes, precision: str) -> bytes:
    """An ONNX model as a serialised engine, by the module `tensorrt` or `tensorrt_rtx`.

    Raises BackendError, with the parser's message, where the model cannot be read or built.
    """
    logger = tensorrt.Logger(tensorrt.Logger.ERROR)
    builder = tensorrt.Builder(logger)
    kinds = tensorrt.NetworkDefinitionCreationFlag
    # From TensorRT 10 on the model's own types hold; before it, a flag allows float16.
    typed = hasattr(kinds, "STRONGLY_TYPED")
    kind = kinds.STRONGLY_TYPED if typed else kinds.EXPLICIT_BATCH
    definition = builder.create_network(1 << int(kind))
    parser = tensorrt.OnnxParser(definition, logger)
    if not parser.parse(network):
        errors = "; ".join(parser.get_error(i).desc() for i in range(parser.num_errors))
        raise BackendError(f"tensorrt: the ONNX model cannot be read ({errors})")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(tensorrt.MemoryPoolType.WORKSPACE, WORKSPACE)
    config.clear_flag(tensorrt.BuilderFlag.TF32)  # on by default, and it is not float32
    if precision == "float16" and not typed:
        config.set_flag(tensorrt.BuilderFlag.FP16)
    plan = builder.build_serialized_network(definition, config)
    if plan is None:
        raise BackendError("tensorrt: no engine was built")
    return bytes(plan)


def start(folder: Path, precision: str) -> Callable[[torch.Tensor], np.ndarray]:
    """The function that runs the engine in `folder` on the GPU.

    Raises BackendError where the engine cannot be read.
    """
    import tensorrt

    runtime = tensorrt.Runtime(tensorrt.Logger(tensorrt.Logger.ERROR))
    engine = runtime.deserialize_cuda_engine((folder / PLAN).read_bytes())
    if engine is None:
        raise BackendError("tensorrt: built by another version, or for another GPU")
    context = engine.create_execution_context()
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    frames, scores = sorted(names, key=lambda name: int(engine.get_tensor_mode(name)))

    def run(batch: torch.Tensor) -> np.ndarray:
        images = batch.cuda().float().contiguous()
        # Reused memory would hold the last score if the engine wrote nothing.
        output = torch.full(tuple(engine.get_tensor_shape(scores)), math.nan, device="cuda")
        context.set_tensor_address(frames, images.data_ptr())
        context.set_tensor_address(scores, output.data_ptr())
        if not context.execute_async_v3(torch.cuda.current_stream().cuda_stream):
            raise BackendError("tensorrt: the engine did not run")
        return output.cpu().numpy()

    return run
