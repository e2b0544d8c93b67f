"""Every variant of an ensemble that runs on this machine: a backend at a precision."""

from __future__ import annotations

from typing import Any, Mapping

import numpy as np

from clipassistnet.deploy.backends import BACKENDS, PRECISIONS, load
from clipassistnet.deploy.predictor import BackendError, Predictor
from clipassistnet.model.crop_ensemble import Ensemble


def load_variants(
    ensemble: Ensemble, image_size: int, calibration: np.ndarray | None = None
) -> tuple[list[Predictor], dict[tuple[str, str], str]]:
    """A predictor of each backend and precision that works here, and why the others do not.

    Float32 PyTorch on the CPU comes first: the reference of parity. `calibration` as of
    `backends.load`. The reasons are by (backend, precision).
    """
    names = [("torch", "float32")]
    names += [(b, p) for b in BACKENDS for p in PRECISIONS[b] if (b, p) != names[0]]
    predictors, refused = [], {}
    for backend, precision in names:
        try:
            predictor = load(
                backend, ensemble, image_size, precision=precision, calibration=calibration
            )
            predictors.append(predictor)
        except BackendError as error:
            refused[backend, precision] = str(error)
    return predictors, refused


def load_common_variants(
    ensembles: Mapping[str, Ensemble], image_size: int, calibration: Mapping[str, np.ndarray]
) -> tuple[dict[str, list[Predictor]], dict[tuple[str, str], str]]:
    """`load_variants` of several ensembles by name, each with its own calibration frames.

    Only variants that work for all of them are kept.
    """
    found = {
        n: load_variants(module, image_size, calibration[n]) for n, module in ensembles.items()
    }
    refused = {key: why for _, reasons in found.values() for key, why in reasons.items()}
    common = {
        name: [p for p in predictors if (p.backend, p.precision) not in refused]
        for name, (predictors, _) in found.items()
    }
    return common, refused


def pick_frames(
    table: Any, cache: Any, number: int, *, each: str | None = None
) -> tuple[Any, np.ndarray]:
    """At most `number` rows of a table of frames (video, frame), evenly spread, and their frames.

    Args:
        table: a DataFrame with video and frame.
        cache: a data.frame_cache.FrameCache.
        number: of rows, or of rows with each value of the column `each`.

    Returns:
        The rows, and their frames uint8 RGB (N, H, W, 3).
    """
    groups = [np.arange(len(table))]
    if each is not None:
        groups = [groups[0][table[each] == value] for value in dict.fromkeys(table[each])]
    places = [own[np.linspace(0, len(own) - 1, number).astype(int)] for own in groups]
    rows = table.iloc[np.unique(np.concatenate(places))]
    return rows, np.stack([cache.get(v, int(f)) for v, f in zip(rows["video"], rows["frame"])])
