"""Loads the networks of the live loop: checkpoints, or a saved engine, warmed up."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Callable

import numpy as np

from clipassistnet import files
from clipassistnet.live import shipped

if TYPE_CHECKING:
    from clipassistnet.deploy import Predictor

LOCATOR = "locator.safetensors"  # as model.locator.FILE, without importing torch


def checkpoints(names: list[str]) -> list[str]:
    """The file of each name: a run folder's or a given checkpoint; a saved engine's sidecar.

    A name of `shipped.names()`, where no file has it, is a network that comes with the project.

    Raises:
        FileNotFoundError: there is no checkpoint of such a name.
        ValueError: an engine is given together with anything else.
    """
    sidecar, own = files.ENGINE_SIDECAR, shipped.names()
    names = [shipped.checkpoint(n) if n in own and not os.path.exists(n) else n for n in names]
    engines = [os.path.join(n, sidecar) if os.path.isdir(n) else n for n in names]
    engines = [p for p in engines if os.path.basename(p) == sidecar and os.path.isfile(p)]
    if engines:
        if len(names) > 1:
            raise ValueError(
                f"{engines[0]}: a saved engine holds the whole ensemble, give it alone"
            )
        return engines
    paths = [os.path.join(n, "model.safetensors") if os.path.isdir(n) else n for n in names]
    missing = [path for path in paths if not os.path.isfile(path)]
    if missing:
        raise FileNotFoundError(
            f"no checkpoint {', '.join(missing)}: expected run folders such as "
            "papermill_runs/<study>/05_train_fold/loss=bce,recipe=paper,held_out=test,fold=0, "
            "model.safetensors files, the folder of one saved engine, or a network that comes "
            f"with the project ({', '.join(own) or 'none'})"
        )
    return paths


def digests(paths: list[str]) -> dict[str, str]:
    """SHA-256 of each checkpoint, or of a sidecar, which holds those of its engine; for the log."""
    return {path: files.digest(path) for path in paths}


def load_arming(
    paths: list[str], backend: str, precision: str | None, threads: int | None
) -> Callable[[np.ndarray], np.ndarray]:
    """What gives p(clip applier in the picture) (N,) for uint8 RGB (N, H, W, 3).

    It is the locator of a classifier of crops, in PyTorch. Otherwise the paths are those of a
    network for arming, or of its engine, see `load`.

    Raises:
        ValueError: several classifiers of crops, or as `load`.
    """
    beside = os.path.join(os.path.dirname(paths[0]), LOCATOR)
    if not os.path.isfile(beside):
        return load(paths, backend, precision, threads, arms=True).predict
    if len(paths) > 1:
        raise ValueError(f"{paths[0]}: its locator arms; give this one network, not {len(paths)}")
    from clipassistnet.model import locator

    network = locator.load(beside)
    network.presence(
        np.zeros((1, network.spec["image_size"], network.spec["image_size"], 3), np.uint8)
    )
    return network.presence


def load(
    paths: list[str],
    backend: str,
    precision: str | None,
    threads: int | None,
    *,
    arms: bool = False,
) -> Predictor:
    """The predictor of these checkpoints, or of an engine; `deploy` says which errors it raises.

    Args:
        paths: as from `checkpoints`.
        backend: a name of `deploy`, or "auto".
        precision: None is float32, or the precision of an engine.
        threads: of the CPU; None is torch's default.
        arms: the predictor scores p(clip applier in the picture) instead of p(tip invisible).

    Raises:
        ValueError: networks of the other kind, or a precision that was not proven.
    """
    import torch  # takes seconds, in which the start screen is shown

    from clipassistnet.model import classifier

    predicts = classifier.CLIP_APPLIER_PRESENT if arms else classifier.TIP_INVISIBLE
    if threads:
        torch.set_num_threads(threads)
    if os.path.basename(paths[0]) == files.ENGINE_SIDECAR:
        predictor = _open_engine(paths[0], backend, precision, predicts)
    else:
        predictor = _load_checkpoints(paths, backend, precision, predicts)
    # The first call is slow everywhere, so it is not left to the first picture.
    size = predictor.image_size
    predictor.predict(np.zeros((1, size, size, 3), np.uint8))
    return predictor


def _open_engine(sidecar: str, backend: str, precision: str | None, predicts: str) -> Predictor:
    from clipassistnet import deploy
    from clipassistnet.model import classifier

    predictor = deploy.open_engine(os.path.dirname(sidecar))
    classifier.require_question(predictor.predicts, predicts, sidecar)
    if backend not in ("auto", predictor.backend) or precision not in (None, predictor.precision):
        raise ValueError(f"{sidecar}: is {predictor.name}, not {backend} {precision or ''}")
    return predictor


def _load_checkpoints(
    paths: list[str], backend: str, precision: str | None, predicts: str
) -> Predictor:
    from clipassistnet import deploy
    from clipassistnet.model import crop_ensemble

    if precision not in (None, "float32"):
        raise ValueError(
            f"precision {precision}: not proven for these networks to give the same answers; "
            "make an engine of them with clipassistnet deploy convert, which proves it"
        )
    ensemble = crop_ensemble.load(paths, predicts=predicts)
    size = ensemble.spec["image_size"]
    return deploy.load(backend, ensemble, size, precision="float32")
