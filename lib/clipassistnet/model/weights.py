"""Reading and writing files of weights.

Reading unpickles nothing but tensors. Runs on Python 3.8 with torch; safetensors is imported where
it is needed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from clipassistnet import files
from clipassistnet.errors import ExplainedError

LITE0 = "tf_efficientnet_lite0"
# Not a file: random weights, and the published weights of the backbone (two names for them).
NO_FILE = ("none", "imagenet", "pretrained")

LINEAR = (nn.Linear, nn.Conv2d)


class ModelError(ExplainedError, ValueError):
    """A backbone, a weight file or a checkpoint that cannot be used, and what would help."""


def is_checkpoint(weights: str) -> bool:
    """Whether these weights are a file that classifier.save wrote: a whole classifier."""
    return weights not in NO_FILE and "spec" in read(weights)[1]


def write(state: Mapping[str, Tensor], path: files.PathLike, notes: dict[str, str]) -> None:
    """Write tensors and notes as one safetensors file, whole or not at all."""
    from safetensors.torch import save_file

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    with files.whole(path) as part:
        save_file(tensors, str(part), metadata=notes)


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


def head_of(network: nn.Module) -> str:
    """The name, within a network, of its last linear layer, whose classes are the task's."""
    linear = [name for name, layer in network.named_modules() if isinstance(layer, LINEAR)]
    return linear[-1]


def load_backbone(network: nn.Module, state: dict[str, Tensor], backbone: str, source: str) -> None:
    """Load everything but the head, whose classes belong to another task.

    Raises ModelError, naming `source`, for weights of another network.
    """
    heads = head_of(network) + "."
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
