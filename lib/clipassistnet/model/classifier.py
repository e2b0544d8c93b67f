"""The frame classifier: an ImageNet backbone, two logits, and its checkpoint.

Runs on Python 3.8 with torch, torchvision, timm and safetensors. timm and torchvision's models are
imported where they are needed: together they cost seconds.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any

from torch import Tensor, nn

from clipassistnet import files
from clipassistnet.model import backbones, features, pretrained
from clipassistnet.model import weights as weight_files
from clipassistnet.model.weights import NO_FILE, ModelError

# What class 1 of a network means. Checkpoints store these strings.
TIP_INVISIBLE, CLIP_APPLIER_PRESENT = "tip invisible", "clip applier in the picture"


class FrameClassifier(nn.Module):
    """A network with two logits, and its description `spec`, which the checkpoint stores.

    spec: predicts (what class 1 means, TIP_INVISIBLE or CLIP_APPLIER_PRESENT), backbone, image_size
    (pixels), mean, std (per channel, on the 0..1 scale), weights, weights_licence, early_stride;
    after training also cropped: 0 for a classifier of whole frames, else the edge in pixels of the
    frames from which its crops are cut (see crop_ensemble.py). A classifier on features (see
    features.py) has feature_blocks, feature_grid and trunk_sha256 as well.
    """

    def __init__(self, network: nn.Module, spec: dict[str, Any]):
        super().__init__()
        self.network = network
        self.spec = spec

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, 2) of preprocessed images (N, 3, S, S)."""
        return self.network(images)

    def train(self, mode: bool = True) -> FrameClassifier:
        """As nn.Module.train, but batch normalisation keeps its statistics where a part is frozen.

        A small part trains for few steps, which would leave it with statistics of a few batches.
        """
        super().train(mode)
        if not all(parameter.requires_grad for parameter in self.parameters()):
            for layer in self.modules():
                if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                    layer.eval()
        return self


def build(
    backbone: str, weights: str, *, trainable_stages: int = 0, predicts: str = TIP_INVISIBLE
) -> FrameClassifier:
    """A classifier with a new head of two logits, drawn from torch's global generator.

    Args:
        backbone: a name of `backbones.REGISTRY` ("resnet50" is the paper's) or of timm.
        weights: "pretrained" or "imagenet" for the backbone's published weights, "none", or a file
            (.safetensors, or .pth with tensors alone) of its weights, whose head is dropped. From a
            checkpoint of `save` the whole network is taken, with its head; it must predict the
            same.
        trainable_stages: n > 0 freezes all but the last n stages and what follows them; 0 trains
            everything.
        predicts: what class 1 means.

    Raises:
        ModelError: the backbone is unknown or has no linear head, or the weights do not fit or
            cannot be read or downloaded.
    """
    if weight_files.is_checkpoint(weights):
        return _continued(backbone, weights, trainable_stages, predicts)
    network, mean, std = backbones.build(backbone)
    state, licence, early_stride = _starting_weights(backbone, weights, network)
    spec = {
        "predicts": predicts,
        "backbone": backbone,
        "image_size": None,
        "mean": list(mean),
        "std": list(std),
        "weights": weights if weights in NO_FILE else os.path.basename(weights),
        "weights_licence": licence,
        "early_stride": early_stride,
    }
    if early_stride:
        _stride_early(network)
    if state is not None:
        weight_files.load_backbone(network, state, backbone, weights)
    if trainable_stages:
        _freeze(network, trainable_stages, backbone)
    return FrameClassifier(network, spec)


def build_on_features(
    backbone: str, image_size: int, blocks: list[int], grid: int, *, predicts: str = TIP_INVISIBLE
) -> FrameClassifier:
    """A classifier with a new linear head on features of a frozen backbone, see features.build.

    Raises ModelError for what features.build refuses.
    """
    network = features.build(backbone, image_size, blocks, grid)
    row = backbones.REGISTRY[backbone]
    spec = {
        "predicts": predicts,
        "backbone": backbone,
        "image_size": image_size,
        "mean": list(row.mean),
        "std": list(row.std),
        "weights": "pretrained",
        "weights_licence": row.licence,
        "early_stride": False,
        "feature_blocks": list(blocks),
        "feature_grid": grid,
        "trunk_sha256": features.digest(network),
    }
    return FrameClassifier(network, spec)


def _starting_weights(
    backbone: str, weights: str, network: nn.Module
) -> tuple[dict[str, Tensor] | None, str, bool]:
    """State dict (None: random), its licence, and whether it strides early.

    A ResNet that strides early has its stride in the first 1x1 convolution of a stage, as published
    (v1); torchvision's has it in the 3x3 convolution.
    """
    if weights == "none":
        return None, "", False
    if weights in NO_FILE:
        state, licence = pretrained.find(backbone, network)
        return state, licence, False
    state, metadata = weight_files.read(weights)
    licence = metadata.get("licence", metadata.get("license", "not stated in the file"))
    return state, licence, metadata.get("strides", "").startswith("v1")


def _continued(
    backbone: str, checkpoint: str, trainable_stages: int, predicts: str
) -> FrameClassifier:
    """The network of a checkpoint, for further training."""
    model = load(checkpoint)
    require_question(model.spec["predicts"], predicts, checkpoint)
    if model.spec["backbone"] != backbone:
        raise ModelError(f"{checkpoint}: a {model.spec['backbone']}, expected backbone {backbone}")
    if trainable_stages:
        _freeze(model.network, trainable_stages, backbone)
    return model


def _stride_early(network: nn.Module) -> None:
    """Stride in the first 1x1 convolution of a stage: ResNet as published (v1), and in Keras.

    torchvision strides in the 3x3 convolution (v1.5); v1 weights are exact only in a v1 network.
    """
    for stage in (network.layer2, network.layer3, network.layer4):
        stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)


def _freeze(network: nn.Module, trainable_stages: int, backbone: str) -> None:
    """Freeze all but the last n stages and what follows; children are in forward order."""
    parts: list[nn.Module] = []
    stages: list[int] = []  # positions in parts
    for name, child in network.named_children():
        inner = list(child.children()) if name in ("blocks", "stages") else [child]
        if name in ("blocks", "stages") or re.match(r"layer\d+$", name):
            stages += range(len(parts), len(parts) + len(inner))
        parts += inner
    if len(stages) < trainable_stages:
        raise ModelError(
            f"trainable_stages {trainable_stages}: {backbone} has {len(stages)} stages"
        )
    network.requires_grad_(False)
    for part in parts[stages[-trainable_stages] :]:
        part.requires_grad_(True)


def save(model: FrameClassifier, path: files.PathLike, **metadata: Any) -> None:
    """Write weights, spec and metadata (anything JSON can hold) as one safetensors file.

    The file is written whole or not at all. Of a classifier on features only the head is written,
    with the digest of its frozen trunk.
    """
    notes = {"spec": json.dumps(model.spec), "metadata": json.dumps(metadata)}
    state = model.network.state_dict()
    if "trunk_sha256" in model.spec:
        state = {name: t for name, t in state.items() if not name.startswith(features.TRUNK)}
    weight_files.write(state, path, notes)


def load(path: files.PathLike) -> FrameClassifier:
    """The classifier that `save` wrote, in eval mode, with its metadata as `model.metadata`.

    Raises ModelError, naming the file, where it is missing, broken or something else, or where its
    backbone is not the one that its head was trained on.
    """
    state, notes = weight_files.read(str(path))
    if "spec" not in notes:
        raise ModelError(f"{path}: not a checkpoint of clipassistnet.model.save")
    # The first checkpoints do not say what they predict: it was the tip's visibility.
    spec = {"predicts": TIP_INVISIBLE, **json.loads(notes["spec"])}
    if "trunk_sha256" in spec:
        model = _with_its_trunk(spec, str(path))
        frozen = model.network.state_dict(keep_vars=True)
        state = {**{k: v for k, v in frozen.items() if k.startswith(features.TRUNK)}, **state}
    else:
        model = build(spec["backbone"], "none")
    if spec["early_stride"]:
        _stride_early(model.network)
    try:
        model.network.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(f"{path}: {error}") from error
    model.spec, model.metadata = spec, json.loads(notes["metadata"])
    return model.eval()


def _with_its_trunk(spec: dict[str, Any], path: str) -> FrameClassifier:
    """A classifier on features whose frozen trunk is the one that the spec names by its digest."""
    names = "backbone", "image_size", "feature_blocks", "feature_grid"
    model = build_on_features(*(spec[name] for name in names))
    if model.spec["trunk_sha256"] != spec["trunk_sha256"]:
        raise ModelError(
            f"{path}: its head was trained on other weights of {spec['backbone']} (SHA-256 "
            f"{spec['trunk_sha256'][:12]}..., here {model.spec['trunk_sha256'][:12]}...)"
        )
    return model


def require_question(predicts: str, wanted: str, who: str) -> None:
    """Raise ModelError, naming `who`, unless it predicts what is wanted."""
    if predicts != wanted:
        raise ModelError(f"{who}: its score is p({predicts}), expected p({wanted})")
