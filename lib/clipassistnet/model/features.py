"""A frozen vision transformer whose patch maps a linear head reads: the recipe `features`.

The maps of some blocks are averaged over the cells of a grid, standardised, and given to a linear
layer with two logits. Only the head is trained, on features that are computed once. Python 3.8.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clipassistnet.model import backbones, pretrained
from clipassistnet.model.weights import ModelError

TRUNK = "trunk."  # how the names of the frozen tensors begin


class FeatureNetwork(nn.Module):
    """A frozen trunk, what is averaged of its maps, and a linear head.

    `blocks` count from 0; the trunk ends after the last of them. `grid` cells a side divide the
    picture. The head takes D = blocks x channels x grid x grid standardised features.
    """

    def __init__(self, trunk: nn.Module, blocks: Sequence[int], grid: int):
        super().__init__()
        self.trunk = trunk.requires_grad_(False).eval()
        self.blocks, self.grid = tuple(blocks), grid
        size = trunk.embed_dim * len(self.blocks) * grid * grid
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))
        self.head = nn.Linear(size, 2)

    def features(self, images: Tensor) -> Tensor:
        """Features (N, D), not standardised, of preprocessed images (N, 3, S, S)."""
        cells = [F.adaptive_avg_pool2d(each, self.grid).flatten(1) for each in self.maps(images)]
        return torch.cat(cells, dim=1)

    def maps(self, images: Tensor) -> list[Tensor]:
        """Patch maps (N, channels, p, p) of the blocks, for p x p patches."""
        return self.trunk.forward_intermediates(
            images, indices=list(self.blocks), norm=False, intermediates_only=True
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, 2) of preprocessed images (N, 3, S, S)."""
        return self.logits(self.features(images))

    def logits(self, features: Tensor) -> Tensor:
        """Logits (N, 2) of features (N, D)."""
        return self.head((features - self.mean) * self.scale)

    def standardise(self, mean: Tensor, scale: Tensor) -> None:
        """Standardise features by these (D,) from now on; the logits stay as they are."""
        with torch.no_grad():
            moved = (mean - self.mean) * self.scale
            self.head.bias += self.head.weight @ moved
            self.head.weight *= self.scale / scale
        self.mean.copy_(mean)
        self.scale.copy_(scale)

    def train(self, mode: bool = True) -> FeatureNetwork:
        """As nn.Module.train, but the frozen trunk stays in eval mode."""
        super().train(mode)
        self.trunk.eval()
        return self


def take_head(network: FeatureNetwork, other: FeatureNetwork) -> None:
    """Set head, mean and scale of a network so that it gives the logits of another one.

    `other` reads the same trunk over the same grid; blocks that it does not read get no weight.
    Raises ModelError where the other reads a block that the network does not have.
    """
    absent = sorted(set(other.blocks) - set(network.blocks))
    if absent or other.grid != network.grid:
        raise ModelError(
            f"a head on blocks {list(other.blocks)} over a grid of {other.grid}: expected blocks "
            f"out of {list(network.blocks)} over a grid of {network.grid}"
        )
    cells = len(network.mean) // len(network.blocks)  # features of a block
    starts = [network.blocks.index(block) * cells for block in other.blocks]
    read = torch.cat([torch.arange(start, start + cells) for start in starts])
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.weight[:, read] = other.head.weight
        network.head.bias.copy_(other.head.bias)
    network.mean[read], network.scale[read] = other.mean, other.scale


def build(name: str, image_size: int, blocks: Sequence[int], grid: int) -> FeatureNetwork:
    """The network of a backbone of the registry with its published weights, and a new head.

    `image_size` is the side of the pictures: position embeddings are interpolated to it once.
    Raises ModelError for a backbone without such blocks, a side that does not suit its patches, a
    grid that does not divide the patches evenly, or weights that cannot be had.
    """
    trunk = _trunk(name, image_size)
    depth = len(getattr(trunk, "blocks", ()))
    wrong = [block for block in blocks if not 0 <= block < depth]
    if wrong or not blocks or sorted(set(blocks)) != list(blocks):
        raise ModelError(
            f"feature_blocks {list(blocks)}: {name} has "
            + (f"blocks 0 to {depth - 1}: give some of them, ascending" if depth else "no blocks")
        )
    side = image_size // backbones.REGISTRY[name].patch
    if grid < 1 or side % grid:
        raise ModelError(f"feature_grid {grid}: expected a divisor of {side}, the patches a side")
    trunk.blocks = trunk.blocks[: blocks[-1] + 1]
    trunk.norm = nn.Identity()
    return FeatureNetwork(trunk, blocks, grid)


def _trunk(name: str, image_size: int) -> nn.Module:
    """A vision transformer of the registry with its published weights and without a head.

    Its position embeddings are interpolated to pictures with sides of `image_size` pixels.
    Raises ModelError for another kind of backbone, a side that does not suit its patches, or
    weights that cannot be had.
    """
    row = backbones.REGISTRY.get(name)
    if row is None or row.patch == 1:
        transformers = ", ".join(key for key, each in backbones.REGISTRY.items() if each.patch > 1)
        raise ModelError(f"backbone {name!r}: features need one of {transformers}")
    backbones.require_side(name, image_size)
    import timm

    options = {**row.options, "img_size": image_size, "dynamic_img_size": False}
    network = timm.create_model(row.architecture, num_classes=0, **options)
    backbones.complete(network)
    network.load_state_dict(pretrained.find(name, network)[0])
    return network.eval()


def digest(network: FeatureNetwork) -> str:
    """SHA-256 of the frozen trunk: names, shapes and values of its tensors."""
    sha = hashlib.sha256()
    for name, tensor in sorted(network.trunk.state_dict().items()):
        sha.update(f"{name} {tuple(tensor.shape)}\n".encode())
        sha.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return sha.hexdigest()
