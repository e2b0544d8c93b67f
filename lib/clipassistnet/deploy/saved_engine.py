"""Saved engines: a folder with the engine and a sidecar, which says what it may run on."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
from pathlib import Path

import torch
from torch import nn

from clipassistnet import files
from clipassistnet.deploy import backends
from clipassistnet.deploy.predictor import Predictor, device_name, weights_digest
from clipassistnet.model.classifier import TIP_INVISIBLE

SIDECAR = files.ENGINE_SIDECAR
SEAL = "seal"  # SHA-256 of the rest of the sidecar: one edited by hand is refused
_SPEC = ("predicts", "image_size", "mean", "std", "located")
_NEEDED = {"backend", "precision", "image_size", "mean", "std"}  # the rest is compared, or optional


class EngineError(ValueError):
    """A saved engine that may not be used here, and why."""


def save(
    folder: str | os.PathLike, predictor: Predictor, parity: dict[str, object]
) -> dict[str, object]:
    """Write an engine that `load` built and that gives PyTorch's scores; return its sidecar.

    `parity`: what `parity` or `prove` said of it. The sidecar: backend, precision, device, version,
    weights (their digest), members, predicts, image_size, mean, std, located (None, or what the
    parts of an ensemble of crops are shown), files, parity, made_with and a seal over all of it.
    An engine that is there is replaced. Raises EngineError where `folder` is something else, there
    is nothing to save, or parity failed.
    """
    folder, engine = Path(folder), predictor.engine
    if folder.exists() and not (folder / SIDECAR).is_file():
        raise EngineError(f"{folder}: is there already, and is no engine to be replaced")
    if engine is None:
        raise EngineError(f"{predictor.name}: no engine was built, so there is none to save")
    if (parity["backend"], parity["precision"]) != (predictor.backend, predictor.precision):
        raise EngineError(f"{predictor.name}: this parity is another's: {parity}")
    if not parity["passed"]:
        raise EngineError(f"{predictor.name}: does not give PyTorch's scores: {parity}")
    sidecar = {
        **_identity(predictor.backend, predictor.precision),
        **{name: getattr(predictor, name) for name in _SPEC},
        **{"weights": engine.weights, "members": engine.members, "files": _files(engine.folder)},
        "parity": parity,
        "made_with": {"python": platform.python_version(), "torch": torch.__version__},
    }
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        shutil.copytree(engine.folder, partial)
        (partial / SIDECAR).write_text(json.dumps(sealed(sidecar), indent=1))
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return read_sidecar(folder)


def open_engine(folder: str | os.PathLike, ensemble: nn.Module | None = None) -> Predictor:
    """The engine that `save` wrote, ready to score frames.

    With an `ensemble`, the engine must have been made of its weights. Raises EngineError, with all
    that differs, where device, version, files or weights are not those of the sidecar.
    """
    folder = Path(folder)
    sidecar = read_sidecar(folder)
    here = {**_identity(sidecar["backend"], sidecar["precision"]), "files": _files(folder)}
    if ensemble is not None:
        here["weights"] = weights_digest(ensemble)
    differing = [
        f"{name}: made with {sidecar.get(name)}, here {value}"
        for name, value in here.items()
        if sidecar.get(name) != value
    ]
    if differing:
        raise EngineError(f"{folder}: convert again; {'; '.join(differing)}")
    return backends.start(sidecar["backend"], sidecar["precision"], sidecar, folder)


def sealed(sidecar: dict[str, object]) -> dict[str, object]:
    """The sidecar with its seal: mean, std or parity edited later would change what is shown."""
    content = {name: value for name, value in sidecar.items() if name != SEAL}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return {**json.loads(json.dumps(content)), SEAL: digest}


def read_sidecar(folder: str | os.PathLike) -> dict:
    """What is known of a saved engine. Raises EngineError where there is none, or a broken one."""
    path = Path(folder) / SIDECAR
    try:
        sidecar = {"predicts": TIP_INVISIBLE, **json.loads(path.read_text())}
        missing = sorted(_NEEDED - set(sidecar))
        if missing:
            raise KeyError(", ".join(missing))
        if sealed(sidecar) != sidecar:
            raise ValueError("it was edited, or is older than its seal; convert again")
        backends.check(sidecar["backend"], sidecar["precision"])
    except FileNotFoundError:
        raise EngineError(f"{path}: no such file, so no saved engine") from None
    except (ValueError, KeyError, TypeError) as error:
        raise EngineError(f"{path}: not the sidecar of an engine ({error})") from error
    if sidecar["backend"] not in backends.ENGINES:
        raise EngineError(f"{path}: {sidecar['backend']} has no engines")
    return sidecar


def _identity(backend: str, precision: str) -> dict[str, object]:
    """What an engine and its parity hold for. The number of threads changes neither."""
    device = "cpu" if backend == "openvino" else "cuda"
    return {
        "backend": backend,
        "precision": precision,
        "device": device_name(device, threads=False),
        "version": backends.version(backend),
    }


def _files(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of an engine."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SIDECAR)
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
    }
