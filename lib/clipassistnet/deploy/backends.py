"""The backends: which are here, why the others are not, and how each loads the ensemble."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Callable, Mapping

import numpy as np
import torch
from torch import nn

from clipassistnet.deploy import openvino_engine, tensorrt_engine, torch2trt_engine
from clipassistnet.deploy.predictor import BackendError, Engine, Predictor, memory_in_use
from clipassistnet.deploy.torch2trt_engine import convertible, operations, require_dependence
from clipassistnet.model import crop_ensemble

# Fastest first: the order in which "auto" tries them.
BACKENDS = ("torch2trt", "tensorrt", "torch-cuda", "openvino", "torch")
PRECISIONS = {
    "torch2trt": ("float32", "float16"),
    "tensorrt": ("float32", "float16"),
    "torch-cuda": ("float32", "float16"),
    "openvino": ("float32", "bfloat16", "int8"),
    "torch": ("float32",),
}
# Those that are built first, and can be saved: each has build(...) and start(folder, precision).
ENGINES = {
    "torch2trt": torch2trt_engine,
    "tensorrt": tensorrt_engine,
    "openvino": openvino_engine,
}
_EAGER_BATCH = 32  # frames; bounds the memory of a long table, and one live frame is a batch of one


def available() -> dict[str, tuple[bool, str]]:
    """For each backend, whether this machine can run it, and its version or what it lacks."""
    states = {}
    for backend in BACKENDS:
        try:
            states[backend] = (True, version(backend))
        except BackendError as error:
            states[backend] = (False, str(error))
    return states


def load(
    backend: str,
    ensemble: nn.Module,
    image_size: int,
    *,
    precision: str = "float32",
    calibration: np.ndarray | None = None,
) -> Predictor:
    """The ensemble (an EnsembleModule) on a backend, for frames resized to image_size.

    `backend` is one of BACKENDS, or "auto": the fastest that works here, whose `reason` says why
    the faster ones were passed over. A backend asked for by name is never replaced by another.
    `calibration`: training frames, uint8 RGB (N, H, W, 3), from which int8 takes its ranges.
    Raises BackendError where it is absent or its conversion fails a check, ValueError for an
    unknown backend, a precision that the backend does not have, or another image size than the
    ensemble's own: its strided convolutions are laid out for that one.
    """
    if backend == "auto":
        return _best(ensemble, image_size, precision, calibration)
    check(backend, precision)
    if image_size != ensemble.spec["image_size"]:
        raise ValueError(
            f"image_size {image_size}, the ensemble's is {ensemble.spec['image_size']}"
        )
    version(backend)
    if backend not in ENGINES:
        parts = crop_ensemble.parts(ensemble)
        return _predictor(
            backend, precision, ensemble.spec, lambda name: _eager(parts[name], backend, precision)
        )
    engine, runs = Engine(ensemble), {}
    _build(backend, ensemble, precision, calibration, engine.folder)

    def start_part(name: str) -> Callable:
        runs[name] = ENGINES[backend].start(engine.folder / name, precision)
        return runs[name]

    built = _predictor(backend, precision, ensemble.spec, start_part)
    for name, part in crop_ensemble.parts(ensemble).items():
        require_dependence(runs[name], copy.deepcopy(part).eval(), part.spec["image_size"])
    return dataclasses.replace(built, engine=engine)


def _build(
    backend: str, ensemble: nn.Module, precision: str, calibration: np.ndarray | None, folder: Path
) -> None:
    """The engine of each part of the ensemble in a folder of its own, or of its only one here."""
    shown = {} if calibration is None else crop_ensemble.part_inputs(ensemble, calibration)
    for name, part in crop_ensemble.parts(ensemble).items():
        (folder / name).mkdir(exist_ok=True)
        size = part.spec["image_size"]
        ENGINES[backend].build(part, size, precision, shown.get(name), folder / name)


def check(backend: str, precision: str) -> None:
    """Raise ValueError for an unknown backend, or a precision that it does not have."""
    if backend not in BACKENDS:
        raise ValueError(f"backend {backend!r}, expected auto or one of {', '.join(BACKENDS)}")
    if precision not in PRECISIONS[backend]:
        names = ", ".join(PRECISIONS[backend])
        raise ValueError(f"precision {precision!r}, expected for {backend}: {names}")


def start(backend: str, precision: str, spec: dict, folder: Path) -> Predictor:
    """The engine that was built in `folder`."""
    return _predictor(
        backend, precision, spec, lambda name: ENGINES[backend].start(folder / name, precision)
    )


def _predictor(backend: str, precision: str, spec: dict, start_part: Callable) -> Predictor:
    """The parts that `start_part` starts by name, as the Predictor of a backend.

    spec: image_size, mean, std, predicts, and located for an ensemble that judges crops.
    """
    device = "cpu" if backend in ("openvino", "torch") else "cuda"
    before = memory_in_use(device)
    own = {name: spec[name] and tuple(spec[name]) for name in ("mean", "std")}
    predictor = Predictor(
        backend=backend,
        precision=precision,
        device=device,
        reason=f"{backend} {version(backend)}",
        image_size=spec["image_size"],
        **own,
        batch=1 if backend in ENGINES else _EAGER_BATCH,
        memory=0,
        run=crop_ensemble.assemble(spec, start_part),
        predicts=spec["predicts"],
        located=spec.get("located"),
    )
    # What it takes, it takes now.
    predictor.predict(np.zeros((1, spec["image_size"], spec["image_size"], 3), np.uint8))
    return dataclasses.replace(predictor, memory=max(0, memory_in_use(device) - before))


def ladder(
    ensemble: nn.Module, image_size: int, calibration: np.ndarray | None = None
) -> tuple[list[Predictor], dict[tuple[str, str], str]]:
    """Every backend and precision that runs here, and why the others do not.

    Eager float32 PyTorch on the CPU comes first, the reference of `measure.parity`.
    """
    rungs = [("torch", "float32")]
    rungs += [(b, p) for b in BACKENDS for p in PRECISIONS[b] if (b, p) != rungs[0]]
    predictors, refused = [], {}
    for backend, precision in rungs:
        try:
            rung = load(backend, ensemble, image_size, precision=precision, calibration=calibration)
            predictors.append(rung)
        except BackendError as error:
            refused[backend, precision] = str(error)
    return predictors, refused


def ladders(
    ensembles: Mapping[str, nn.Module], image_size: int, calibration: Mapping[str, np.ndarray]
) -> tuple[dict[str, list[Predictor]], dict[tuple[str, str], str]]:
    """The `ladder` of several ensembles alike, by name, each with calibration frames of its own.

    A rung that one of them cannot take is refused for all.
    """
    found = {n: ladder(module, image_size, calibration[n]) for n, module in ensembles.items()}
    refused = {key: why for _, reasons in found.values() for key, why in reasons.items()}
    common = {
        name: [rung for rung in rungs if (rung.backend, rung.precision) not in refused]
        for name, (rungs, _) in found.items()
    }
    return common, refused


def used_operations(ensemble: nn.Module) -> set[str]:
    """The torch operations of all parts of an ensemble, as torch2trt would meet them."""
    found = (
        operations(convertible(part), part.spec["image_size"])
        for part in crop_ensemble.parts(ensemble).values()
    )
    return set().union(*found)


def version(backend: str) -> str:
    """The version of what runs a backend. Raises BackendError, saying what is missing."""
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
    # AttributeError: TensorRT 11 lacks names that torch2trt reads. OSError: a library is gone.
    except (ImportError, AttributeError, OSError) as error:
        remedy = "JETSON.md says how to install it"
        raise BackendError(f"{backend}: cannot be imported ({error}); {remedy}") from error
    return f"TensorRT {tensorrt.__version__}"


def _best(
    ensemble: nn.Module, image_size: int, precision: str, calibration: np.ndarray | None
) -> Predictor:
    passed_over = []
    for backend in BACKENDS:
        if precision not in PRECISIONS[backend]:
            passed_over.append(f"{backend}: no {precision}")
            continue
        try:
            best = load(backend, ensemble, image_size, precision=precision, calibration=calibration)
        except BackendError as error:
            passed_over.append(str(error))
            continue
        because = "; ".join(passed_over) or "nothing is faster"
        return dataclasses.replace(best, reason=f"{best.reason} ({because})")
    raise BackendError(f"no backend runs {precision} here: {'; '.join(passed_over)}")


def _eager(ensemble: nn.Module, backend: str, precision: str) -> Callable:
    device = "cuda" if backend == "torch-cuda" else "cpu"
    dtype = torch.float16 if precision == "float16" else torch.float32
    module = copy.deepcopy(ensemble).eval().to(device, dtype)

    def run(batch: torch.Tensor) -> np.ndarray:
        # By default cuDNN computes float32 convolutions in TF32, with a mantissa of 11 bits.
        with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            return module(batch.to(device, dtype)).float().cpu().numpy()

    return run
