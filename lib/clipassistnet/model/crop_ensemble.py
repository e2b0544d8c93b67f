"""The ensemble of classifiers of crops, each with its locator; how any ensemble is taken apart.

Runs on Python 3.8 with torch, timm, numpy and OpenCV.
"""

from __future__ import annotations

import os
from typing import Any, Callable, Sequence, Union

import numpy as np
import torch
from torch import nn

from clipassistnet.model import classifier, locator
from clipassistnet.model.classifier import TIP_INVISIBLE
from clipassistnet.model.ensemble import EnsembleModule
from clipassistnet.model.weights import ModelError
from clipassistnet.transforms import preprocess, resize

_INPUT = ("image_size", "mean", "std")


class CropEnsemble(nn.Module):
    """Pairs of a locator and a classifier of its crops; their score is a weighted mean.

    It computes nothing itself: `assemble` runs its parts, on any backend. `spec` is that of an
    EnsembleModule, with these differences: image_size is the edge of the frames that the locators
    search, mean and std are None (frames are given as they are), and "located" holds "input"
    (image_size, mean and std of each part by its name) and "shares" (of the classifiers; their sum
    is 1). Saved engines store this spec.

    Raises:
        ModelError: the networks do not fit together, as of EnsembleModule.
    """

    spec: dict[str, Any]

    def __init__(
        self,
        models: Sequence[classifier.FrameClassifier],
        locators: Sequence[locator.Locator],
        weights: Sequence[float] | None = None,
        *,
        predicts: str = TIP_INVISIBLE,
    ):
        super().__init__()
        whole = EnsembleModule(models, weights, predicts=predicts, crops=True)
        edges = {network.spec["cropped"] for network in models}
        if len(edges) != 1 or True in edges:
            raise ModelError(
                f"ensemble: crops are cut from frames with an edge of {sorted(map(str, edges))} "
                "pixels, expected one for all (True is an older checkpoint: train it again)"
            )
        self.models = nn.ModuleList(
            [EnsembleModule([network], predicts=predicts, crops=True) for network in models]
        )
        self.locators = nn.ModuleList([network.plain() for network in locators])
        inputs = {name: {k: part.spec[k] for k in _INPUT} for name, part in self.parts().items()}
        shares = (whole.shares[0, :, 1] / whole.shares[0, :, 1].sum()).tolist()
        self.spec = {**whole.spec, "image_size": edges.pop(), "mean": None, "std": None}
        self.spec["located"] = {"input": inputs, "shares": shares}

    def parts(self) -> dict[str, nn.Module]:
        """Every network that is converted on its own, by name: locator0, classifier0, ..."""
        pairs = zip(self.locators, self.models)
        return {
            f"{kind}{number}": part
            for number, pair in enumerate(pairs)
            for kind, part in zip(("locator", "classifier"), pair)
        }


Ensemble = Union[EnsembleModule, CropEnsemble]


def load(
    paths: Sequence[str], weights: Sequence[float] | None = None, *, predicts: str = TIP_INVISIBLE
) -> Ensemble:
    """The ensemble of these checkpoints, of whole frames or of crops (with locators beside them).

    Raises ModelError for a checkpoint or locator that is missing, or networks that do not fit.
    """
    networks = [classifier.load(path) for path in paths]
    for path, network in zip(paths, networks):
        classifier.require_question(network.spec["predicts"], predicts, str(path))
    if not all(network.spec.get("cropped") for network in networks):
        return EnsembleModule(networks, weights, predicts=predicts).eval()  # refuses a mixture
    beside = [os.path.join(os.path.dirname(path), locator.FILE) for path in paths]
    return CropEnsemble(
        networks, [locator.load(path) for path in beside], weights, predicts=predicts
    ).eval()


def parts(ensemble: Ensemble) -> dict[str, nn.Module]:
    """The networks of an ensemble that are converted on their own, by name.

    An ensemble of whole frames is a single network, with the name "".
    """
    return ensemble.parts() if isinstance(ensemble, CropEnsemble) else {"": ensemble}


def assemble(spec: dict[str, Any], start: Callable[[str], Callable]) -> Callable:
    """The function that scores frames with an ensemble of this `spec`.

    `start(name)` starts a part and returns what runs it: from preprocessed frames (n, 3, S, S) to
    maps (a locator) or scores (n,). For whole frames this is the result. For crops the result takes
    frames uint8 RGB (n, E, E, 3) with the edge E = spec["image_size"], and raises ValueError where
    a locator's maps are not finite.
    """
    if not spec.get("located"):
        return start("")
    inputs, shares = spec["located"]["input"], spec["located"]["shares"]
    pairs = [(start(f"locator{i}"), start(f"classifier{i}")) for i in range(len(shares))]

    def run(frames: np.ndarray) -> np.ndarray:
        scores = np.zeros(len(frames), np.float32)
        for number, (find, judge) in enumerate(pairs):
            size = inputs[f"classifier{number}"]["image_size"]
            maps = find(_preprocessed(frames, inputs[f"locator{number}"]))
            if not np.isfinite(maps).all():
                raise ValueError(f"locator{number} gave numbers that are not finite")
            crops = _crops(frames, maps, size)
            scores += shares[number] * judge(_preprocessed(crops, inputs[f"classifier{number}"]))
        return scores

    return run


def part_inputs(ensemble: Ensemble, frames: np.ndarray) -> dict[str, torch.Tensor]:
    """The preprocessed input of each part of an ensemble for frames uint8 RGB (N, H, W, 3)."""
    if not isinstance(ensemble, CropEnsemble):
        return {"": _preprocessed(frames, ensemble.spec)}
    inputs = {}

    def start(name: str) -> Callable:
        def run(images: torch.Tensor) -> np.ndarray:
            inputs[name] = images
            with torch.inference_mode():
                return ensemble.parts()[name](images).numpy()

        return run

    size = ensemble.spec["image_size"]
    assemble(ensemble.spec, start)(np.stack([resize(frame, size) for frame in frames]))
    return inputs


def _preprocessed(frames: np.ndarray, spec: dict[str, Any]) -> torch.Tensor:
    return preprocess(frames, spec["image_size"], spec["mean"], spec["std"])


def _crops(frames: np.ndarray, maps: np.ndarray, size: int) -> np.ndarray:
    boxes = locator.decode(torch.from_numpy(maps))[0].numpy()
    return np.stack([locator.crop(frame, box, size) for frame, box in zip(frames, boxes)])
