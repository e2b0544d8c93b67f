"""The backends: which are here, why the others are not, and how each loads the ensemble."""

from __future__ import annotations

import copy
import dataclasses
import warnings
from typing import Callable

import numpy as np
import torch
from torch import nn

from .conversion import convert, require_dependence
from .predictor import BackendError, Predictor

# Fastest first: the order in which "auto" tries them.
BACKENDS = ("torch2trt", "torch-cuda", "openvino", "torch")
PRECISIONS = {
    "torch2trt": ("float32", "float16"),
    "torch-cuda": ("float32",),
    "openvino": ("float32", "bfloat16"),
    "torch": ("float32",),
}
_OPENVINO_PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}
_EAGER_BATCH = 32  # frames; bounds the memory of a long table, and one live frame is a batch of one


def available() -> dict[str, tuple[bool, str]]:
    """For each backend, whether this machine can run it, and its version or what it lacks."""
    states = {}
    for backend in BACKENDS:
        try:
            states[backend] = (True, _version(backend))
        except BackendError as error:
            states[backend] = (False, str(error))
    return states


def load(
    backend: str, ensemble: nn.Module, image_size: int, *, precision: str = "float32"
) -> Predictor:
    """The ensemble (an EnsembleModule) on a backend, for frames resized to image_size.

    `backend` is one of BACKENDS, or "auto": the fastest that works here, whose `reason` says why
    the faster ones were passed over. A backend asked for by name is never replaced by another.
    Raises BackendError where it is absent or its conversion fails a check, ValueError for an
    unknown backend, a precision that the backend does not have, or another image size than the
    ensemble's own: its strided convolutions are laid out for that one.
    """
    if backend == "auto":
        return _best(ensemble, image_size, precision)
    if backend not in BACKENDS:
        raise ValueError(f"backend {backend!r}, expected auto or one of {', '.join(BACKENDS)}")
    if precision not in PRECISIONS[backend]:
        names = ", ".join(PRECISIONS[backend])
        raise ValueError(f"precision {precision!r}, expected for {backend}: {names}")
    if image_size != ensemble.spec["image_size"]:
        raise ValueError(
            f"image_size {image_size}, the ensemble's is {ensemble.spec['image_size']}"
        )
    version = _version(backend)
    make = {"torch2trt": convert, "openvino": _openvino}.get(backend)
    run = make(ensemble, image_size, precision) if make else _eager(ensemble, backend)
    return Predictor(
        backend=backend,
        precision=precision,
        device="cuda" if backend in ("torch2trt", "torch-cuda") else "cpu",
        reason=f"{backend} {version}",
        image_size=image_size,
        mean=tuple(ensemble.spec["mean"]),
        std=tuple(ensemble.spec["std"]),
        batch=1 if make else _EAGER_BATCH,
        run=run,
    )


def ladder(
    ensemble: nn.Module, image_size: int
) -> tuple[list[Predictor], dict[tuple[str, str], str]]:
    """Every backend and precision that runs here, and why the others do not.

    Eager float32 PyTorch on the CPU comes first, as `measure.timing` wants its reference.
    """
    rungs = [("torch", "float32")]
    rungs += [(b, p) for b in BACKENDS for p in PRECISIONS[b] if (b, p) != rungs[0]]
    predictors, refused = [], {}
    for backend, precision in rungs:
        try:
            predictors.append(load(backend, ensemble, image_size, precision=precision))
        except BackendError as error:
            refused[backend, precision] = str(error)
    return predictors, refused


def _best(ensemble: nn.Module, image_size: int, precision: str) -> Predictor:
    passed_over = []
    for backend in BACKENDS:
        if precision not in PRECISIONS[backend]:
            passed_over.append(f"{backend}: no {precision}")
            continue
        try:
            predictor = load(backend, ensemble, image_size, precision=precision)
        except BackendError as error:
            passed_over.append(str(error))
            continue
        because = "; ".join(passed_over) or "nothing is faster"
        return dataclasses.replace(predictor, reason=f"{predictor.reason} ({because})")
    raise BackendError(f"no backend runs {precision} here: {'; '.join(passed_over)}")


def _eager(ensemble: nn.Module, backend: str) -> Callable:
    device = "cuda" if backend == "torch-cuda" else "cpu"
    module = copy.deepcopy(ensemble).eval().to(device)

    def run(batch: torch.Tensor) -> np.ndarray:
        # By default cuDNN computes float32 convolutions in TF32, with a mantissa of 11 bits.
        with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            return module(batch.to(device)).cpu().numpy()

    return run


def _openvino(ensemble: nn.Module, image_size: int, precision: str) -> Callable:
    import openvino

    core = openvino.Core()
    capabilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if precision == "bfloat16" and "BF16" not in capabilities:
        raise BackendError("openvino: this CPU has no bfloat16")
    network = _traced(copy.deepcopy(ensemble).eval(), image_size)
    settings = {
        # Left unnamed, OpenVINO takes bfloat16 wherever the CPU has it.
        "INFERENCE_PRECISION_HINT": _OPENVINO_PRECISIONS[precision],
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),  # as many as PyTorch: a fair comparison
    }
    compiled = core.compile_model(network, "CPU", settings)
    _require_precision(compiled, precision)

    def run(batch: torch.Tensor) -> np.ndarray:
        return compiled(batch.numpy())[0]

    require_dependence(run, image_size)
    return run


def _traced(module: nn.Module, image_size: int):
    """The module as an OpenVINO model of one frame.

    By the frontend that openvino.convert_model wraps: convert_model itself reports every conversion
    to Google Analytics, unasked, which no library may do in a hospital.
    """
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    example = torch.rand(1, 3, image_size, image_size)
    with warnings.catch_warnings(), torch.no_grad():
        # torch has deprecated tracing, OpenVINO still builds on it: no affair of our caller's.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(module, example, check_trace=False)
        decoder = TorchScriptPythonDecoder(traced)  # a name of its own: the frontend borrows it
        frontend = FrontEndManager().load_by_framework("pytorch")
        model = frontend.convert(frontend.load(decoder))
    model.reshape(list(example.shape))
    return model


def _require_precision(compiled, precision: str) -> None:
    """The hint is a wish: what the convolutions of the compiled network really run in decides."""
    operations = [node.get_rt_info() for node in compiled.get_runtime_model().get_ops()]
    running = {
        info["runtimePrecision"].astype(str)
        for info in operations
        if info["layerType"].astype(str) == "Convolution"
    }
    if _OPENVINO_PRECISIONS[precision] not in running:
        raise BackendError(f"openvino: asked for {precision}, runs in {', '.join(sorted(running))}")


def _version(backend: str) -> str:
    """The version of what runs a backend. Raises BackendError, saying what is missing."""
    if backend == "openvino":
        try:
            import openvino
        except ImportError as error:
            raise BackendError(f"openvino: not installed ({error})") from error
        return openvino.__version__
    if backend == "torch2trt":
        try:
            import tensorrt
            import torch2trt  # noqa: F401
        # AttributeError: TensorRT 11 lacks names that torch2trt reads. OSError: a library is gone.
        except (ImportError, AttributeError, OSError) as error:
            remedy = "environment.yml says how to install it"
            raise BackendError(f"torch2trt: cannot be imported ({error}); {remedy}") from error
    if backend != "torch" and not torch.cuda.is_available():
        raise BackendError(f"{backend}: PyTorch sees no CUDA GPU")
    return f"TensorRT {tensorrt.__version__}" if backend == "torch2trt" else torch.__version__
