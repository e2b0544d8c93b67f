"""The frame classifier: an ImageNet backbone, two logits, and its checkpoint.

Runs on Python 3.8 with torch, torchvision, timm and safetensors. timm and torchvision's models are
imported where they are needed: together they cost seconds.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from clipassistnet import files
from clipassistnet.model import layers
from clipassistnet.model import weights as pretrained
from clipassistnet.model.weights import LITE0, ModelError

# What class 1 of a network means. Checkpoints store these strings.
TIP_INVISIBLE, CLIP_APPLIER_PRESENT = "tip invisible", "clip applier in the picture"
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class FrameClassifier(nn.Module):
    """A network with two logits, and its description `spec`, which the checkpoint stores.

    spec: predicts (what class 1 means, TIP_INVISIBLE or CLIP_APPLIER_PRESENT), backbone, image_size
    (pixels), mean, std (per channel, on the 0..1 scale), weights, weights_licence, early_stride;
    after training also cropped: 0 for a classifier of whole frames, else the edge in pixels of the
    frames from which its crops are cut (see crop_ensemble.py).
    """

    def __init__(self, network: nn.Module, spec: dict[str, Any]):
        super().__init__()
        self.network = network
        self.spec = spec

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, 2) of preprocessed images (N, 3, S, S)."""
        return self.network(images)

    def train(self, mode: bool = True) -> FrameClassifier:
        """As nn.Module.train, but frozen batch normalisation keeps its statistics."""
        super().train(mode)
        for layer in self.modules():
            if (
                isinstance(layer, nn.modules.batchnorm._BatchNorm)
                and not layer.weight.requires_grad
            ):
                layer.eval()
        return self


def build(
    backbone: str, weights: str, *, trainable_stages: int = 0, predicts: str = TIP_INVISIBLE
) -> FrameClassifier:
    """A classifier with a new head of two logits, drawn from torch's global generator.

    Args:
        backbone: "resnet50" is torchvision's, as in the paper; any other name is timm's.
        weights: "imagenet", "none", or a file (.safetensors, or .pth with tensors alone) of the
            backbone's weights, whose head is dropped. From a checkpoint of `save` the whole network
            is taken, with its head; it must predict the same.
        trainable_stages: n > 0 freezes all but the last n stages and what follows them; 0 trains
            everything.
        predicts: what class 1 means.

    Raises:
        ModelError: the backbone is unknown or has no linear head, or the weights do not fit or
            cannot be read or downloaded.
    """
    if pretrained.is_checkpoint(weights):
        return _continued(backbone, weights, trainable_stages, predicts)
    network, mean, std = _network(backbone)
    state, licence, early_stride = pretrained.find(backbone, weights)
    spec = {
        "predicts": predicts,
        "backbone": backbone,
        "image_size": None,
        "mean": list(mean),
        "std": list(std),
        "weights": weights if weights in ("imagenet", "none") else os.path.basename(weights),
        "weights_licence": licence,
        "early_stride": early_stride,
    }
    if early_stride:
        _stride_early(network)
    if state is not None:
        pretrained.load_backbone(network, state, backbone, weights)
    if trainable_stages:
        _freeze(network, trainable_stages, backbone)
    return FrameClassifier(network, spec)


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


def _network(backbone: str) -> tuple[nn.Module, Sequence[float], Sequence[float]]:
    """The network with a head of two logits, and the mean and standard deviation it expects."""
    if backbone == "resnet50":
        from torchvision.models import resnet50

        return resnet50(num_classes=2), IMAGENET_MEAN, IMAGENET_STD
    import timm

    if backbone not in timm.list_models():
        similar = ", ".join(timm.list_models(f"*{backbone}*")[:3]) or LITE0
        raise ModelError(
            f"backbone {backbone!r}: expected resnet50 or a timm model, such as {similar}"
        )
    network = timm.create_model(backbone, num_classes=2)
    head = network.get_classifier()
    if not isinstance(head, (nn.Linear, nn.Conv2d)):
        raise ModelError(
            f"backbone {backbone!r}: its head is {type(head).__name__}, expected one linear layer"
        )
    # Drawn as the paper's Linear(2048, 2). timm draws the head of an EfficientNet by the number of
    # classes: with two classes the first logits would be in the tens.
    head.reset_parameters()
    config = network.pretrained_cfg
    return layers.quicken(network), config["mean"], config["std"]


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

    The file is written whole or not at all.
    """
    notes = {"spec": json.dumps(model.spec), "metadata": json.dumps(metadata)}
    pretrained.write(model.network, path, notes)


def load(path: files.PathLike) -> FrameClassifier:
    """The classifier that `save` wrote, in eval mode, with its metadata as `model.metadata`.

    Raises ModelError, naming the file, where it is missing, broken or something else.
    """
    state, notes = pretrained.read(str(path))
    if "spec" not in notes:
        raise ModelError(f"{path}: not a checkpoint of clipassistnet.model.save")
    # The first checkpoints do not say what they predict: it was the tip's visibility.
    spec = {"predicts": TIP_INVISIBLE, **json.loads(notes["spec"])}
    model = build(spec["backbone"], "none")
    if spec["early_stride"]:
        _stride_early(model.network)
    try:
        model.network.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(f"{path}: {error}") from error
    model.spec, model.metadata = spec, json.loads(notes["metadata"])
    return model.eval()


def require_question(predicts: str, wanted: str, who: str) -> None:
    """Raise ModelError, naming `who`, unless it predicts what is wanted."""
    if predicts != wanted:
        raise ModelError(f"{who}: its score is p({predicts}), expected p({wanted})")
