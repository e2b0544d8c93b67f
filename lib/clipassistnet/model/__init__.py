"""Networks: classifier, ensemble, weights, losses, the locator and its crops, saliency."""

from clipassistnet.model.classifier import (
    CLIP_APPLIER_PRESENT,
    TIP_INVISIBLE,
    FrameClassifier,
    build,
    build_on_features,
    load,
    require_question,
    save,
)
from clipassistnet.model.ensemble import EnsembleModule
from clipassistnet.model.weights import LITE0, ModelError

__all__ = [
    "CLIP_APPLIER_PRESENT",
    "LITE0",
    "TIP_INVISIBLE",
    "EnsembleModule",
    "FrameClassifier",
    "ModelError",
    "build",
    "build_on_features",
    "load",
    "require_question",
    "save",
]
