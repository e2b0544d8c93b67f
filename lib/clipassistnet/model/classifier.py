"""The frame classifier: an ImageNet backbone, two logits, and its checkpoint.

Runs on Python 3.8 with torch, torchvision and timm alone. timm and torchvision's models are
imported where they are needed: together they cost seconds.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from clipassistnet.model import layers
from clipassistnet.model import weights as pretrained
from clipassistnet.model.weights import LITE0, ModelError

# What class 1 of a network says; a network is good for that question and no other.
TIP_INVISIBLE, CLIP_APPLIER = "tip invisible", "clip applier in the picture"
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class FrameClassifier(nn.Module):
    """A network with two logits and `spec`, what has to be known of it.

    spec: predicts (what class 1 says, TIP_INVISIBLE or CLIP_APPLIER), backbone, image_size, mean,
    std, weights, weights_licence, early_stride; once trained, cropped (0, or the edge of the
    frames from which the crops that it judges are cut, see located.py).
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
    """A classifier with a new head of two logits (drawn from torch's global generator).

    `backbone`: "resnet50" is torchvision's, the paper's; any other name is
    timm's. `weights`: "imagenet", "none", or a file (.safetensors, or .pth without code) of the
    backbone's weights, whose head is dropped. A checkpoint of `save` is taken whole, head and all:
    it has to predict the same. `trainable_stages` n > 0 freezes all but the last n stages and
    what follows them; 0 trains everything.
    Raises ModelError for an unknown backbone, weights that do not fit or cannot be had.
    """
    if pretrained.is_checkpoint(weights):
        return _go_on(backbone, weights, trainable_stages, predicts)
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


def _go_on(backbone: str, checkpoint: str, trainable_stages: int, predicts: str) -> FrameClassifier:
    """A network that was trained before, to be trained on."""
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
        raise ModelError(
            "backbone {!r}: expected resnet50 or a timm model, such as {}".format(
                backbone, ", ".join(timm.list_models(f"*{backbone}*")[:3]) or LITE0
            )
        )
    network = timm.create_model(backbone, num_classes=2)
    # As the paper's Linear(2048, 2): timm draws EfficientNet's head by the number of classes, and
    # with two of them its first logits would be in the tens.
    network.get_classifier().reset_parameters()
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
    parts = []  # type: List[Tuple[bool, nn.Module]]
    for name, child in network.named_children():
        if name in ("blocks", "stages"):
            parts += [(True, stage) for stage in child.children()]
        else:
            parts.append((re.match(r"layer\d+$", name) is not None, child))
    stages = [i for i, (is_stage, _) in enumerate(parts) if is_stage]
    if len(stages) < trainable_stages:
        raise ModelError(
            f"trainable_stages {trainable_stages}: {backbone} has {len(stages)} stages"
        )
    network.requires_grad_(False)
    for _, part in parts[stages[-trainable_stages] :]:
        part.requires_grad_(True)


def save(model: FrameClassifier, path, **metadata: Any) -> None:
    """Write weights, spec and metadata (anything JSON can hold) as one safetensors file.

    Written beside and renamed, so that a half-written checkpoint never bears the name.
    """
    from safetensors.torch import save_file

    state = {name: t.detach().cpu().contiguous() for name, t in model.network.state_dict().items()}
    partial = f"{path}.partial"
    notes = {"spec": json.dumps(model.spec), "metadata": json.dumps(metadata)}
    save_file(state, partial, metadata=notes)
    os.replace(partial, path)


def load(path) -> FrameClassifier:
    """The classifier that `save` wrote, in eval mode, its metadata as `model.metadata`.

    Raises ModelError, naming the file, where it is missing, broken or something else.
    """
    state, notes = pretrained.read(str(path))
    if "spec" not in notes:
        raise ModelError(f"{path}: not a checkpoint of clipassistnet.model.save")
    spec = {"predicts": TIP_INVISIBLE, **json.loads(notes["spec"])}  # once there was no other
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
    """ModelError, naming `who`, unless it predicts what is wanted."""
    if predicts != wanted:
        raise ModelError(f"{who}: its score is p({predicts}), expected p({wanted})")
