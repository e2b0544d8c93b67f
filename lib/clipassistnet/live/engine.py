"""The ensemble behind the live loop: checkpoints by name, on a backend, warmed up."""

from __future__ import annotations

import hashlib
import os

import numpy as np


def checkpoints(names: list[str]) -> list[str]:
    """The checkpoint of each name: a run's folder, or the file. FileNotFoundError for others."""
    paths = [os.path.join(n, "model.safetensors") if os.path.isdir(n) else n for n in names]
    missing = [path for path in paths if not os.path.isfile(path)]
    if missing:
        raise FileNotFoundError(
            f"no checkpoint {', '.join(missing)}: expected run folders such as "
            "papermill_runs/<study>/05_train_fold/loss=bce,recipe=paper,held_out=test,fold=0, or "
            "model.safetensors files"
        )
    return paths


def digests(paths: list[str]) -> dict[str, str]:
    """SHA-256 of each checkpoint, for the log."""
    result = {}
    for path in paths:
        with open(path, "rb") as file:
            result[path] = hashlib.sha256(file.read()).hexdigest()
    return result


def load(paths: list[str], backend: str, precision: str, threads: int | None):
    """The deploy.Predictor of the ensemble of these checkpoints; see deploy.load for its errors.

    torch is imported here: it takes seconds, in which the start screen is already shown.
    """
    import torch

    from clipassistnet import deploy, model

    if threads:
        torch.set_num_threads(threads)
    ensemble = model.EnsembleModule([model.load(path) for path in paths]).eval()
    size = ensemble.spec["image_size"]
    predictor = deploy.load(backend, ensemble, size, precision=precision)
    # The first call is slow everywhere: it must not be that of the first picture.
    predictor.predict(np.zeros((1, size, size, 3), np.uint8))
    return predictor
