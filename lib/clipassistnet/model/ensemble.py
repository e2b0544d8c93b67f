"""The ensemble of frame classifiers as one module, in operations that every converter knows.

Runs on Python 3.8 with torch alone.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clipassistnet.model import layers
from clipassistnet.model.classifier import TIP_INVISIBLE, FrameClassifier, require_question
from clipassistnet.model.weights import ModelError


class EnsembleModule(nn.Module):
    """The weighted mean of its members' confidences, as in the paper.

    It holds copies of the members in their export form, for pictures of their common image size.
    `spec` is that of the first member. All operations have a converter in torch2trt: F.softmax,
    because torch.softmax would silently become a constant; and class 1 is selected by a mean over
    both classes with weights 0 and 2, which is exact.

    Args:
        models: the members, all of one image size, mean and standard deviation.
        weights: one a member, none negative; None: equal.
        predicts: what class 1 of every member means.
        crops: whether the members are classifiers of crops (True) or of whole frames (False).

    Raises:
        ModelError: the members do not fit together, or the weights do not fit them.
    """

    def __init__(
        self,
        models: Sequence[FrameClassifier],
        weights: Sequence[float] | None = None,
        *,
        predicts: str = TIP_INVISIBLE,
        crops: bool = False,
    ):
        super().__init__()
        for number, model in enumerate(models):
            require_question(model.spec["predicts"], predicts, f"member {number} of the ensemble")
        inputs = {json.dumps([m.spec[k] for k in ("image_size", "mean", "std")]) for m in models}
        if len(inputs) != 1 or models[0].spec["image_size"] is None:
            raise ModelError(
                "ensemble: expected members of one known image size, mean and standard deviation, "
                f"got {sorted(inputs)}"
            )
        if any(bool(m.spec.get("cropped")) != crops for m in models):
            raise ModelError(
                "ensemble: classifiers of whole frames and classifiers of crops do not mix: "
                f"expected {'crops' if crops else 'whole frames'} alone"
            )
        shares = torch.tensor(
            [1.0] * len(models) if weights is None else list(weights), dtype=torch.float32
        )
        if len(shares) != len(models) or (shares < 0).any() or shares.sum() <= 0:
            raise ModelError(
                f"ensemble: weights {weights} for {len(models)} members, expected one each, "
                "none negative, not all 0"
            )
        self.models = nn.ModuleList([copy.deepcopy(model).eval() for model in models])
        for model in self.models:
            layers.plain(model, model.spec["image_size"])
        trunks = {model.spec.get("trunk_sha256") for model in models}
        self.shares_features = len(trunks) == 1 and None not in trunks and _same_features(models)
        if self.shares_features:
            for model in self.models:
                model.network.trunk = self.models[0].network.trunk
        self.spec = dict(models[0].spec)
        shares = shares / shares.mean()
        self.register_buffer("shares", torch.stack([0 * shares, 2 * shares], dim=1)[None])

    def forward(self, images: Tensor) -> Tensor:
        """p(what it predicts) (N,) of preprocessed images (N, 3, S, S)."""
        if self.shares_features:  # frozen features, computed once for all heads
            features = self.models[0].network.features(images)
            logits = [model.network.logits(features) for model in self.models]
        else:
            logits = [model(images) for model in self.models]
        members = torch.stack([F.softmax(each, dim=1) for each in logits], dim=1)
        return (members * self.shares).mean(dim=1).mean(dim=1)


def _same_features(models: Sequence[FrameClassifier]) -> bool:
    """Whether classifiers on features read the same blocks over the same grid."""
    return len({(tuple(m.network.blocks), m.network.grid) for m in models}) == 1
