"""The ensemble of classifiers of crops with its locator; how any ensemble is taken apart.

The locator finds the clip applier in the frame, then looks more closely. Each frame is cropped
once, to the box found, and all classifiers judge that crop. Runs on Python 3.8 with torch, timm,
numpy, OpenCV and Pillow.
"""

from __future__ import annotations

import os
from typing import Any, Callable, Sequence, Union

import numpy as np
import torch
from torch import Tensor, nn

from clipassistnet.model import classifier, cutting, locator
from clipassistnet.model.classifier import TIP_INVISIBLE
from clipassistnet.model.ensemble import EnsembleModule
from clipassistnet.model.weights import ModelError
from clipassistnet.transforms import normalise, preprocess, resize

LOCATOR, CLOSER, CLASSIFIER = "locator", "closer", "classifier"  # names of the parts
_INPUT = ("image_size", "mean", "std")


class Look(nn.Module):
    """One of a locator's looks as a module: its frozen trunk, and the head for this look."""

    def __init__(self, plain: locator.Locator, head: nn.Module, image_size: int):
        super().__init__()
        self.trunk, self.head = plain.trunk, head
        self.spec = {**plain.spec, "image_size": image_size}

    def forward(self, images: Tensor) -> Tensor:
        """Maps (N, 5, S / 16, S / 16) for preprocessed pictures (N, 3, S, S)."""
        return self.head(self.trunk(images))


class CropEnsemble(nn.Module):
    """A locator and classifiers of crops; the score is the weighted mean of the classifiers'.

    It computes nothing itself: `assemble` runs its three parts, on any backend. `spec` is that of
    an EnsembleModule, with these differences: image_size is the edge of the frames that the locator
    searches, mean and std are None (frames are given as they are), and "located" holds "input"
    (image_size, mean and std of each part by its name) and "margin" (of the crops). Saved engines
    store this spec.

    Raises:
        ModelError: the networks do not fit together, as of EnsembleModule.
    """

    spec: dict[str, Any]

    def __init__(
        self,
        models: Sequence[classifier.FrameClassifier],
        network: locator.Locator,
        weights: Sequence[float] | None = None,
        *,
        predicts: str = TIP_INVISIBLE,
    ):
        super().__init__()
        self.classifier = EnsembleModule(models, weights, predicts=predicts, crops=True)
        crops = {(each.spec["cropped"], each.spec.get("crop_margin", 1.0)) for each in models}
        if len(crops) != 1 or True in {edge for edge, _ in crops}:
            raise ModelError(
                f"ensemble: edge of the frames and margin of the crops are {sorted(crops)}, "
                "expected one pair for all (True is an older checkpoint: train it again)"
            )
        plain = network.plain()
        self.locator = Look(plain, plain.head, plain.spec["image_size"])
        self.closer = Look(plain, plain.closer_head, plain.spec["window_size"])
        inputs = {name: {k: part.spec[k] for k in _INPUT} for name, part in self.parts().items()}
        edge, margin = crops.pop()
        self.spec = {**self.classifier.spec, "image_size": edge, "mean": None, "std": None}
        self.spec["located"] = {"input": inputs, "margin": margin}

    @property
    def models(self) -> nn.ModuleList:
        """The classifiers."""
        return self.classifier.models

    def parts(self) -> dict[str, nn.Module]:
        """The networks that are converted on their own, by name."""
        return {LOCATOR: self.locator, CLOSER: self.closer, CLASSIFIER: self.classifier}


Ensemble = Union[EnsembleModule, CropEnsemble]


def load(
    paths: Sequence[str], weights: Sequence[float] | None = None, *, predicts: str = TIP_INVISIBLE
) -> Ensemble:
    """The ensemble of these checkpoints, of whole frames or of crops (with a locator beside each).

    Raises ModelError for a checkpoint or locator that is missing, or networks that do not fit.
    """
    networks = [classifier.load(path) for path in paths]
    for path, network in zip(paths, networks):
        classifier.require_question(network.spec["predicts"], predicts, str(path))
    if not all(network.spec.get("cropped") for network in networks):
        return EnsembleModule(networks, weights, predicts=predicts).eval()  # refuses a mixture
    beside = [locator.load(os.path.join(os.path.dirname(path), locator.FILE)) for path in paths]
    # Networks that are judged on the same patients share one locator.
    if len({locator.digest(each) for each in beside}) > 1:
        raise ModelError(
            f"ensemble: {' and '.join(paths)} have different locators, expected networks that are "
            "judged on the same patients"
        )
    return CropEnsemble(networks, beside[0], weights, predicts=predicts).eval()


def parts(ensemble: Ensemble) -> dict[str, nn.Module]:
    """The networks of an ensemble that are converted on their own, by name.

    An ensemble of whole frames is a single network, with the name "".
    """
    return ensemble.parts() if isinstance(ensemble, CropEnsemble) else {"": ensemble}


def assemble(spec: dict[str, Any], start: Callable[[str], Callable]) -> Callable:
    """The function that scores frames with an ensemble of this `spec`.

    `start(name)` starts a part and returns what runs it: from preprocessed frames (n, 3, S, S) to
    maps (the looks of the locator) or scores (n,). For whole frames this is the result. For crops
    the result takes frames uint8 RGB (n, E, E, 3) with the edge E = spec["image_size"], and raises
    ValueError where the locator's maps are not finite.
    Raises ModelError for the spec of an engine whose locator does not look closer.
    """
    if not spec.get("located"):
        return start("")
    inputs = spec["located"]["input"]
    if CLOSER not in inputs:
        raise ModelError("an engine of an older version, which looks for the applier once: convert")
    margin, size = spec["located"]["margin"], inputs[CLASSIFIER]["image_size"]
    runs = {name: start(name) for name in (LOCATOR, CLOSER, CLASSIFIER)}

    def find(name: str, images: torch.Tensor) -> np.ndarray:
        maps = runs[name](images)
        if not np.isfinite(maps).all():
            raise ValueError("the locator gave numbers that are not finite")
        return locator.decode(torch.from_numpy(maps))[0].numpy()

    def look(windows: np.ndarray) -> np.ndarray:
        return find(CLOSER, normalise(windows, inputs[CLOSER]["mean"], inputs[CLOSER]["std"]))

    def run(frames: np.ndarray) -> np.ndarray:
        first = find(LOCATOR, _preprocessed(frames, inputs[LOCATOR]))
        boxes = cutting.look_closer(frames, first, look, inputs[CLOSER]["image_size"])
        pairs = zip(frames, boxes)
        crops = np.stack([cutting.crop(frame, box, size, margin) for frame, box in pairs])
        return runs[CLASSIFIER](_preprocessed(crops, inputs[CLASSIFIER]))

    return run


def part_inputs(ensemble: Ensemble, frames: np.ndarray) -> dict[str, torch.Tensor]:
    """The preprocessed input of each part of an ensemble for frames uint8 RGB (N, H, W, 3)."""
    if not isinstance(ensemble, CropEnsemble):
        return {"": _preprocessed(frames, ensemble.spec)}
    inputs = {}

    def start(name: str) -> Callable:
        def run(images: torch.Tensor) -> np.ndarray:
            inputs[name] = images
            if name == CLASSIFIER:
                # Nothing comes after the classifier, and it takes most of the time.
                return np.zeros(len(images))
            with torch.inference_mode():
                return ensemble.parts()[name](images).numpy()

        return run

    size = ensemble.spec["image_size"]
    assemble(ensemble.spec, start)(np.stack([resize(frame, size) for frame in frames]))
    return inputs


def _preprocessed(frames: np.ndarray, spec: dict[str, Any]) -> torch.Tensor:
    return preprocess(frames, spec["image_size"], spec["mean"], spec["std"])
