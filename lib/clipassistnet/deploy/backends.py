"""The backends: which work here, why the others do not, and how each loads an ensemble."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any, Callable

import numpy as np
import torch

from clipassistnet.deploy import engine_check, openvino_engine, tensorrt_engine, torch2trt_engine
from clipassistnet.deploy.device import memory_in_use
from clipassistnet.deploy.predictor import BackendError, Engine, Predictor
from clipassistnet.deploy.torch2trt_operations import convertible, operations
from clipassistnet.model import crop_ensemble
from clipassistnet.model.crop_ensemble import Ensemble

# Fastest first: the order in which "auto" tries them.
BACKENDS = ("torch2trt", "tensorrt", "torch-cuda", "openvino", "torch")
PRECISIONS = {
    "torch2trt": ("float32", "float16"),
    "tensorrt": ("float32", "float16"),
    "torch-cuda": ("float32", "float16"),
    "openvino": ("float32", "bfloat16", "int8"),
    "torch": ("float32",),
}
# Backends that build an engine, which can be saved: build(...) and start(folder, precision).
ENGINES = {
    "torch2trt": torch2trt_engine,
    "tensorrt": tensorrt_engine,
    "openvino": openvino_engine,
}
_EAGER_BATCH = 32  # frames; bounds the memory that a long table takes


def available() -> dict[str, tuple[bool, str]]:
    """For each backend, whether this machine can run it, and its version or what is missing."""
    states = {}
    for backend in BACKENDS:
        try:
            states[backend] = (True, version(backend))
        except BackendError as error:
            states[backend] = (False, str(error))
    return states


def load(
    backend: str,
    ensemble: Ensemble,
    image_size: int,
    *,
    precision: str = "float32",
    calibration: np.ndarray | None = None,
) -> Predictor:
    """An ensemble on a backend, for frames resized to image_size.

    Args:
        backend: one of BACKENDS, or "auto": the fastest that works here. With "auto" the result's
            `reason` says why faster ones do not work. A named backend is never replaced.
        ensemble: an EnsembleModule or a CropEnsemble.
        image_size: the ensemble's own: its strided convolutions are built for it.
        precision: one of PRECISIONS[backend].
        calibration: training frames, uint8 RGB (N, H, W, 3), from which int8 takes its ranges.

    Raises:
        BackendError: the backend is missing, or its engine cannot be built or fails a check.
        ValueError: an unknown backend, precision or another image size.
    """
    if backend == "auto":
        return _fastest(ensemble, image_size, precision, calibration)
    check(backend, precision)
    if image_size != ensemble.spec["image_size"]:
        raise ValueError(
            f"image_size {image_size}, the ensemble's is {ensemble.spec['image_size']}"
        )
    version(backend)
    if backend not in ENGINES:
        parts = crop_ensemble.parts(ensemble)
        return _predictor(
            backend,
            precision,
            ensemble.spec,
            lambda name: _eager(parts[name], backend, _of_part(name, precision)),
        )
    return _load_engine(backend, ensemble, precision, calibration)


def _load_engine(
    backend: str, ensemble: Ensemble, precision: str, calibration: np.ndarray | None
) -> Predictor:
    """Build the engine of each part of an ensemble, start them, and check each by itself."""
    engine, runs = Engine(ensemble), {}
    _build(backend, ensemble, precision, calibration, engine.folder)

    def start_part(name: str) -> Callable:
        runs[name] = ENGINES[backend].start(engine.folder / name, _of_part(name, precision))
        return runs[name]

    built = _predictor(backend, precision, ensemble.spec, start_part)
    for name, part in crop_ensemble.parts(ensemble).items():
        module, size = copy.deepcopy(part).eval(), part.spec["image_size"]
        engine_check.require_agreement(runs[name], module, size, _of_part(name, precision))
    return dataclasses.replace(built, engine=engine)


def _build(
    backend: str, ensemble: Ensemble, precision: str, calibration: np.ndarray | None, folder: Path
) -> None:
    """Write the engine of each part into a folder of its name; the only part, into `folder`."""
    asked = precision == "int8" and calibration is not None
    inputs = crop_ensemble.part_inputs(ensemble, calibration) if asked else {}
    for name, part in crop_ensemble.parts(ensemble).items():
        (folder / name).mkdir(exist_ok=True)
        size = part.spec["image_size"]
        engine_check.require_connection(part, size)
        numbers = _of_part(name, precision)
        ENGINES[backend].build(part, size, numbers, inputs.get(name), folder / name)


def _of_part(name: str, precision: str) -> str:
    """The precision of a part of an ensemble: a locator's is always float32.

    It is small, and a box that lies a little elsewhere is another picture: with its locator in
    int8, the ensemble of the study m2cai decided 18 of 316 frames otherwise.
    """
    finds = name in (crop_ensemble.LOCATOR, crop_ensemble.CLOSER)
    return "float32" if finds else precision


def check(backend: str, precision: str) -> None:
    """Raise ValueError for an unknown backend or a precision that it does not have."""
    if backend not in BACKENDS:
        raise ValueError(f"backend {backend!r}, expected auto or one of {', '.join(BACKENDS)}")
    if precision not in PRECISIONS[backend]:
        names = ", ".join(PRECISIONS[backend])
        raise ValueError(f"precision {precision!r}, expected for {backend}: {names}")


def start(backend: str, precision: str, spec: dict[str, Any], folder: Path) -> Predictor:
    """The predictor of the engine that was built in `folder`; `spec` as of `_predictor`."""

    def start_part(name: str) -> Callable:
        return ENGINES[backend].start(folder / name, _of_part(name, precision))

    return _predictor(backend, precision, spec, start_part)


def _predictor(
    backend: str, precision: str, spec: dict[str, Any], start_part: Callable[[str], Callable]
) -> Predictor:
    """The predictor whose parts `start_part` starts by name.

    spec: image_size, mean, std, predicts, and located for an ensemble of crops.
    """
    device = "cpu" if backend in ("openvino", "torch") else "cuda"
    before = memory_in_use(device)
    predictor = Predictor(
        backend=backend,
        precision=precision,
        device=device,
        reason=f"{backend} {version(backend)}",
        image_size=spec["image_size"],
        mean=spec["mean"] and tuple(spec["mean"]),
        std=spec["std"] and tuple(spec["std"]),
        batch=1 if backend in ENGINES else _EAGER_BATCH,
        memory=0,
        run=crop_ensemble.assemble(spec, start_part),
        predicts=spec["predicts"],
        located=spec.get("located"),
    )
    # The first call allocates memory, so it counts.
    predictor.predict(np.zeros((1, spec["image_size"], spec["image_size"], 3), np.uint8))
    return dataclasses.replace(predictor, memory=max(0, memory_in_use(device) - before))


def used_operations(ensemble: Ensemble) -> set[str]:
    """The torch operations of all parts of an ensemble in the form that torch2trt converts."""
    found = (
        operations(convertible(part), part.spec["image_size"])
        for part in crop_ensemble.parts(ensemble).values()
    )
    return set().union(*found)


def version(backend: str) -> str:
    """The version of the software of a backend. Raises BackendError that names what is missing."""
    if backend == "openvino":
        return openvino_engine.silent("openvino").__version__
    if backend in ("torch2trt", "tensorrt"):
        name = _tensorrt_version(backend)
    if backend != "torch" and not torch.cuda.is_available():
        raise BackendError(f"{backend}: PyTorch sees no CUDA GPU")
    return name if backend in ("torch2trt", "tensorrt") else torch.__version__


def _tensorrt_version(backend: str) -> str:
    try:
        import tensorrt

        if backend == "torch2trt":
            import torch2trt  # noqa: F401
        else:
            import onnx  # noqa: F401
    # AttributeError: TensorRT 11 lacks names that torch2trt reads. OSError: a missing library.
    except (ImportError, AttributeError, OSError) as error:
        remedy = "JETSON.md says how to install it"
        raise BackendError(f"{backend}: cannot be imported ({error}); {remedy}") from error
    return f"TensorRT {tensorrt.__version__}"


def _fastest(
    ensemble: Ensemble, image_size: int, precision: str, calibration: np.ndarray | None
) -> Predictor:
    failed = []
    for backend in BACKENDS:
        if precision not in PRECISIONS[backend]:
            failed.append(f"{backend}: no {precision}")
            continue
        try:
            found = load(
                backend, ensemble, image_size, precision=precision, calibration=calibration
            )
        except BackendError as error:
            failed.append(str(error))
            continue
        because = "; ".join(failed) or "nothing is faster"
        return dataclasses.replace(found, reason=f"{found.reason} ({because})")
    raise BackendError(f"no backend runs {precision} here: {'; '.join(failed)}")


def _eager(ensemble: Ensemble, backend: str, precision: str) -> Callable:
    device = "cuda" if backend == "torch-cuda" else "cpu"
    dtype = torch.float16 if precision == "float16" else torch.float32
    module = copy.deepcopy(ensemble).eval().to(device, dtype)

    def run(batch: torch.Tensor) -> np.ndarray:
        # By default cuDNN computes float32 convolutions in TF32, with a mantissa of 11 bits.
        with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            return module(batch.to(device, dtype)).float().cpu().numpy()

    return run
