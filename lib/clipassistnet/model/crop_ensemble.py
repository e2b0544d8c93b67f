"""The ensemble of networks that judge crops: each looks where its own locator finds the applier.

Runs on Python 3.8 with torch, timm, numpy and OpenCV alone.
"""

from __future__ import annotations

import os
from typing import Callable, Sequence

import numpy as np
import torch
from torch import nn

from clipassistnet.model import classifier, locator
from clipassistnet.model.classifier import TIP_INVISIBLE
from clipassistnet.model.ensemble import EnsembleModule
from clipassistnet.model.weights import ModelError
from clipassistnet.transforms import preprocess, resize

LOCATOR = (
    "locator.safetensors"  # beside the checkpoint of the network that was trained on its crops
)
_INPUT = ("image_size", "mean", "std")


class LocatedEnsemble(nn.Module):
    """Locators and classifiers in pairs, and the weighted mean of the classifiers' confidences.

    `spec` is that of an EnsembleModule, but image_size is the edge of the frames in which the
    applier is located, mean and std are None (frames go in as they are), and `located` tells the
    rest: "input", what each part is shown by its name, and "shares" of the classifiers, summing up
    to 1. Nothing is computed here: `assemble` does that, with its parts on any backend.
    Raises ModelError, as EnsembleModule, for networks that do not fit together.
    """

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
        self.locators = nn.ModuleList([found.plain() for found in locators])
        shown = {name: {k: part.spec[k] for k in _INPUT} for name, part in self.parts().items()}
        shares = (whole.shares[0, :, 1] / whole.shares[0, :, 1].sum()).tolist()
        self.spec = {**whole.spec, "image_size": edges.pop(), "mean": None, "std": None}
        self.spec["located"] = {"input": shown, "shares": shares}

    def parts(self) -> dict[str, nn.Module]:
        """Every network that is converted by itself, by name."""
        pairs = zip(self.locators, self.models)
        return {
            f"{kind}{number}": part
            for number, pair in enumerate(pairs)
            for kind, part in zip(("locator", "classifier"), pair)
        }


def ensemble(
    paths: Sequence[str], weights: Sequence[float] | None = None, *, predicts: str = TIP_INVISIBLE
) -> EnsembleModule | LocatedEnsemble:
    """The ensemble of these checkpoints, of whole frames or, with their locators, of crops.

    Raises ModelError for a checkpoint or locator that is missing, or networks that do not fit.
    """
    networks = [classifier.load(path) for path in paths]
    for path, network in zip(paths, networks):
        classifier.require_question(network.spec["predicts"], predicts, str(path))
    if not all(network.spec.get("cropped") for network in networks):
        return EnsembleModule(networks, weights, predicts=predicts).eval()  # refuses a mixture
    beside = [os.path.join(os.path.dirname(path), LOCATOR) for path in paths]
    return LocatedEnsemble(
        networks, [locator.load(path) for path in beside], weights, predicts=predicts
    ).eval()


def parts(whole: nn.Module) -> dict[str, nn.Module]:
    """The networks of an ensemble that are converted by themselves; "" where it is one itself."""
    return whole.parts() if isinstance(whole, LocatedEnsemble) else {"": whole}


def assemble(spec: dict, start: Callable[[str], Callable]) -> Callable:
    """What scores the frames of an ensemble of this `spec`, its parts started by `start(name)`.

    A part takes preprocessed frames (n, 3, S, S), a locator to maps and all others to scores (n,).
    Of whole frames it is that part itself; of crops, it takes frames uint8 RGB (n, E, E, 3) of the
    edge E = spec["image_size"]; ValueError where a locator's maps are not finite.
    """
    if not spec.get("located"):
        return start("")
    shown, shares = spec["located"]["input"], spec["located"]["shares"]
    pairs = [(start(f"locator{i}"), start(f"classifier{i}")) for i in range(len(shares))]

    def run(frames: np.ndarray) -> np.ndarray:
        scores = np.zeros(len(frames), np.float32)
        for number, (find, judge) in enumerate(pairs):
            size = shown[f"classifier{number}"]["image_size"]
            maps = find(_shown(frames, shown[f"locator{number}"]))
            if not np.isfinite(maps).all():
                raise ValueError(f"locator{number} gave numbers that are not finite")
            cut = _crops(frames, maps, size)
            scores += shares[number] * judge(_shown(cut, shown[f"classifier{number}"]))
        return scores

    return run


def shown_to(whole: nn.Module, frames: np.ndarray) -> dict[str, torch.Tensor]:
    """What each part of an ensemble is shown of frames uint8 RGB (N, H, W, 3), preprocessed."""
    if not isinstance(whole, LocatedEnsemble):
        return {"": _shown(frames, whole.spec)}
    seen = {}

    def start(name: str) -> Callable:
        def run(images: torch.Tensor) -> np.ndarray:
            seen[name] = images
            with torch.inference_mode():
                return whole.parts()[name](images).numpy()

        return run

    assemble(whole.spec, start)(
        np.stack([resize(frame, whole.spec["image_size"]) for frame in frames])
    )
    return seen


def _shown(frames: np.ndarray, spec: dict) -> torch.Tensor:
    return preprocess(frames, spec["image_size"], spec["mean"], spec["std"])


def _crops(frames: np.ndarray, maps: np.ndarray, size: int) -> np.ndarray:
    boxes = locator.decode(torch.from_numpy(maps))[0].numpy()
    return np.stack([locator.crop(frame, box, size) for frame, box in zip(frames, boxes)])
