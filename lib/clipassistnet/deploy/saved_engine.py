"""Saved engines: a folder with the engine and a sidecar, which says where it may run."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from clipassistnet import files
from clipassistnet.deploy import backends
from clipassistnet.deploy.device import device_name
from clipassistnet.deploy.predictor import Predictor, weights_digest
from clipassistnet.errors import ExplainedError
from clipassistnet.model.classifier import TIP_INVISIBLE
from clipassistnet.model.crop_ensemble import Ensemble

SIDECAR = files.ENGINE_SIDECAR
SEAL = "seal"  # SHA-256 of the rest of the sidecar: one edited by hand is refused
_SPEC = ("predicts", "image_size", "mean", "std", "located")
_NEEDED = {"backend", "precision", "image_size", "mean", "std", "parity"}  # others are compared


class EngineError(ExplainedError, ValueError):
    """A saved engine that may not be used here, and why."""


def save(
    folder: files.PathLike,
    predictor: Predictor,
    parity: dict[str, Any],
    facts: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write an engine that `backends.load` built and that passed parity; return its sidecar.

    Args:
        folder: of the engine; one that is an engine already is replaced.
        predictor: with an engine.
        parity: its row of `parity.check_parity` or the like.
        facts: what is known of its training data and alarm, see `live.stored_facts`.

    Returns:
        backend, precision, device, version, weights (their digest), members, predicts, image_size,
        mean, std, located (None, or as in the spec of an ensemble of crops), files (their digests),
        parity, made_with, the facts, and a seal over all of it.

    Raises:
        EngineError: `folder` is something else, there is no engine to save, or parity failed.
    """
    folder, engine = Path(folder), predictor.engine
    if folder.exists() and not (folder / SIDECAR).is_file():
        raise EngineError(f"{folder}: exists already and is not an engine, so it is not replaced")
    if engine is None:
        raise EngineError(f"{predictor.name}: no engine was built, so there is none to save")
    if (parity["backend"], parity["precision"]) != (predictor.backend, predictor.precision):
        raise EngineError(f"{predictor.name}: this parity belongs to another predictor: {parity}")
    if not parity["passed"]:
        raise EngineError(f"{predictor.name}: did not pass parity with PyTorch: {parity}")
    sidecar = {
        **(facts or {}),
        **_identity(predictor.backend, predictor.precision),
        **{name: getattr(predictor, name) for name in _SPEC},
        **{"weights": engine.weights, "members": engine.members, "files": _files(engine.folder)},
        "parity": parity,
        "made_with": {"python": platform.python_version(), "torch": torch.__version__},
    }
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        shutil.copytree(engine.folder, part)
        files.write(part / SIDECAR, json.dumps(sealed(sidecar), indent=1))
        files.replace_folder(folder, part)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return read_sidecar(folder)


def open_engine(folder: files.PathLike, ensemble: Ensemble | None = None) -> Predictor:
    """The engine that `save` wrote, ready to score frames.

    With an `ensemble`, the engine must have been built of its weights. Raises EngineError, naming
    every difference, where device, version, files or weights are not those of the sidecar.
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


def sealed(sidecar: dict[str, Any]) -> dict[str, Any]:
    """The sidecar with its seal, because an edited mean, std or parity would give wrong states."""
    content = {name: value for name, value in sidecar.items() if name != SEAL}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return {**json.loads(json.dumps(content)), SEAL: digest}


def read_sidecar(folder: files.PathLike) -> dict[str, Any]:
    """The sidecar of a saved engine. Raises EngineError where it is missing or broken."""
    path = Path(folder) / SIDECAR
    try:
        sidecar = {"predicts": TIP_INVISIBLE, **json.loads(path.read_text())}
        missing = sorted(_NEEDED - set(sidecar))
        if missing:
            raise KeyError(", ".join(missing))
        if sealed(sidecar) != sidecar:
            raise ValueError("it was edited, or is older than its seal; convert again")
        if not sidecar["parity"]["passed"]:
            raise ValueError("it did not pass parity")
        backends.check(sidecar["backend"], sidecar["precision"])
    except FileNotFoundError:
        raise EngineError(f"{path}: no such file, so no saved engine") from None
    except (ValueError, KeyError, TypeError) as error:
        raise EngineError(f"{path}: not the sidecar of an engine ({error})") from error
    if sidecar["backend"] not in backends.ENGINES:
        raise EngineError(f"{path}: {sidecar['backend']} has no engines")
    return sidecar


def _identity(backend: str, precision: str) -> dict[str, Any]:
    """Where an engine and its parity are valid. The number of threads changes neither."""
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
    return {path.relative_to(folder).as_posix(): files.digest(path) for path in paths}
