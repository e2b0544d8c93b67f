"""The ensemble behind the live loop: checkpoints by name, or a saved engine, warmed up."""

from __future__ import annotations

import hashlib
import os

import numpy as np

_SIDECAR = "engine.json"  # deploy.saved's, which would import torch


def checkpoints(names: list[str]) -> list[str]:
    """The checkpoint of each name: a run's folder, or the file; of a saved engine, its sidecar.

    FileNotFoundError for others, ValueError for an engine beside anything else.
    """
    engines = [os.path.join(n, _SIDECAR) if os.path.isdir(n) else n for n in names]
    engines = [p for p in engines if os.path.basename(p) == _SIDECAR and os.path.isfile(p)]
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
            "model.safetensors files, or the folder of one saved engine"
        )
    return paths


def digests(paths: list[str]) -> dict[str, str]:
    """SHA-256 of each checkpoint (or sidecar, which holds those of its engine), for the log."""
    result = {}
    for path in paths:
        with open(path, "rb") as file:
            result[path] = hashlib.sha256(file.read()).hexdigest()
    return result


def load(
    paths: list[str],
    backend: str,
    precision: str | None,
    threads: int | None,
    *,
    arms: bool = False,
):
    """The deploy.Predictor of these checkpoints, or of an engine; see deploy for its errors.

    It scores p(tip invisible), or, where it `arms`, p(clip applier in the picture): ValueError for
    networks of the other kind. A precision that is None is float32, or the engine's own; another
    one is taken of a saved engine alone, which has been proven (ValueError). torch is imported
    here: it takes seconds, in which the start screen is already shown.
    """
    import torch

    from clipassistnet import deploy, model
    from clipassistnet.model import crop_ensemble

    predicts = model.CLIP_APPLIER if arms else model.TIP_INVISIBLE
    if threads:
        torch.set_num_threads(threads)
    if os.path.basename(paths[0]) == _SIDECAR:
        predictor = deploy.open_engine(os.path.dirname(paths[0]))
        model.require_question(predictor.predicts, predicts, paths[0])
        if backend not in ("auto", predictor.backend) or precision not in (
            None,
            predictor.precision,
        ):
            raise ValueError(f"{paths[0]}: is {predictor.name}, not {backend} {precision or ''}")
    elif precision not in (None, "float32"):
        raise ValueError(
            f"precision {precision}: nobody has proven that these networks give the same answers "
            "in it; make an engine of them with clipassistnet deploy convert, which does"
        )
    else:
        ensemble = crop_ensemble.ensemble(paths, predicts=predicts)
        size = ensemble.spec["image_size"]
        predictor = deploy.load(backend, ensemble, size, precision=precision or "float32")
    # The first call is slow everywhere: it must not be that of the first picture.
    size = predictor.image_size
    predictor.predict(np.zeros((1, size, size, 3), np.uint8))
    return predictor
