"""One interface for every backend: from frames to scores."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import numpy as np
import torch

from clipassistnet.errors import ExplainedError
from clipassistnet.model.classifier import TIP_INVISIBLE
from clipassistnet.model.crop_ensemble import Ensemble
from clipassistnet.transforms import preprocess, resize


class BackendError(ExplainedError, RuntimeError):
    """A backend that is absent, or whose conversion cannot be trusted; the message says why."""


class Engine:
    """The files of an engine, in a temporary folder that lives as long as this object.

    `weights`: digest of the ensemble that it was built of; `members`: the number of its networks.
    saved_engine.py keeps it.
    """

    def __init__(self, ensemble: Ensemble) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="clipassistnet-"))
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self.weights, self.members = weights_digest(ensemble), len(ensemble.models)


@dataclass(frozen=True)
class Predictor:
    """An ensemble on one backend, at one precision, ready to score frames.

    Attributes:
        backend, precision, device: as of `backends.load`; device is "cpu" or "cuda".
        reason: the backend's version, and with "auto" why this backend was chosen.
        image_size: edge in pixels of the frames that `run` takes.
        mean, std: per channel, on the 0..1 scale; None for an ensemble of crops.
        batch: the most frames of a call of `run`.
        memory: bytes that loading and one call took, of the process or of the GPU.
        run: from the result of `prepare` of n <= batch frames to float32 (n,).
        engine: what can be saved, where the backend builds engines.
        predicts: what the scores are the probability of.
        located: of an ensemble of crops, "located" of its spec (model/crop_ensemble.py).
    """

    backend: str
    precision: str
    device: str
    reason: str
    image_size: int
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    batch: int
    memory: int
    run: Callable[[torch.Tensor], np.ndarray]
    engine: Engine | None = None
    predicts: str = TIP_INVISIBLE
    located: dict | None = None

    @property
    def name(self) -> str:
        """Such as "openvino int8"."""
        return f"{self.backend} {self.precision}"

    def prepare(self, frames: np.ndarray) -> torch.Tensor | np.ndarray:
        """The input of `run` for frames uint8 RGB (N, H, W, 3), resized to image_size.

        Normalised, float32 (N, 3, S, S) on the CPU; for an ensemble of crops uint8 (N, S, S, 3).
        """
        if self.mean is None or self.std is None:  # an ensemble of crops normalises by itself
            return np.stack([resize(frame, self.image_size) for frame in frames])
        return preprocess(frames, self.image_size, self.mean, self.std)

    def predict(self, frames: np.ndarray) -> np.ndarray:
        """p(`predicts`) of each frame: from uint8 RGB (N, H, W, 3) to float32 (N,), in order.

        Raises ValueError for frames of another type or shape, BackendError where the backend
        returns another number of scores than frames.
        """
        scores = np.empty(len(frames), np.float32)
        for start in range(0, len(frames), self.batch):
            part = frames[start : start + self.batch]
            result = self.run(self.prepare(part))
            # Assigning would broadcast a single score over the batch.
            if result.shape != (len(part),):
                raise BackendError(
                    f"{self.backend}: scores of shape {result.shape} for {len(part)} frames"
                )
            scores[start : start + len(part)] = result
        return scores


def weights_digest(ensemble: Ensemble) -> str:
    """SHA-256 of every parameter and buffer of the ensemble, with its name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(ensemble.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
