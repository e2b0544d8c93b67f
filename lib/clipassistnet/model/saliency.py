"""Where a classifier looks: maps of regions and of pixels, by the method that suits the network.

For a convolutional network: Grad-CAM, guided backpropagation and their product, on a copy whose
activations are all of a kind that captum can guide. For a linear head on features of a transformer:
what each patch adds to the decision, which is exact, and that times the gradient of the pixels.
"""

import copy
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from captum.attr import GuidedBackprop, LayerAttribution, LayerGradCam
from captum.attr import Saliency as captum_saliency
from torch import Tensor, nn

from clipassistnet.model import layers
from clipassistnet.model.classifier import FrameClassifier
from clipassistnet.model.features import FeatureNetwork

# Activations by which guided backpropagation is not defined.
UNGUIDABLE = (nn.SiLU, nn.GELU, nn.Hardswish, nn.ELU, nn.LeakyReLU, nn.PReLU, nn.Mish)


class Saliency(NamedTuple):
    """Maps (N, S, S) float32, none negative: larger where the model looks.

    `method` names them: "Grad-CAM", "patch contributions".
    """

    region: np.ndarray
    pixels: np.ndarray
    method: str


def explain(model: FrameClassifier, images: Tensor, target: int | Sequence[int] = 1) -> Saliency:
    """Maps of preprocessed images (N, 3, S, S) by the method that suits the network.

    `target` is the class to explain (1: tip invisible), one for all images or a list with one each.

    Guided Grad-CAM (Selvaraju et al. 2017) is guided backpropagation times the upsampled Grad-CAM;
    of the three colours the largest magnitude is shown. The model is not changed. Raises ValueError
    for a network whose activations cannot be guided.
    """
    if isinstance(model.network, FeatureNetwork):
        added = patch_contributions(model.network, images, target)
        size = tuple(images.shape[2:])
        region = LayerAttribution.interpolate(added[:, None].clamp_min(0), size, "bilinear")
        region = region.squeeze(1).cpu().numpy()
        gradients = captum_saliency(model).attribute(_input(model, images), target, abs=True)
        strength = gradients.detach().amax(dim=1).cpu().numpy()
        return Saliency(region, strength * region, "patch contributions")
    region, guided = grad_cam(model, images, target), guided_backprop(model, images, target)
    return Saliency(region, np.abs(guided).max(axis=1) * region, "Grad-CAM")


def patch_contributions(
    network: FeatureNetwork, images: Tensor, target: int | Sequence[int] = 1
) -> Tensor:
    """What each patch adds to the logit of `target` over the other's, (N, p, p) for p x p patches.

    The head is linear in the patch maps: over all patches the contributions sum up to the
    difference of the logits, less that of an average training picture (its biases).
    """
    with torch.no_grad():
        maps = torch.cat(network.maps(images), dim=1)  # (N, C, p, p), all blocks
        cell = maps.shape[-1] // network.grid
        weight = (network.head.weight[1] - network.head.weight[0]) * network.scale
        # Features are ordered by block, channel, row and column of the cells.
        weight, mean = (x.reshape(-1, network.grid, network.grid) for x in (weight, network.mean))
        wide = [x.repeat_interleave(cell, 1).repeat_interleave(cell, 2) for x in (weight, mean)]
        added = ((maps - wide[1]) * wide[0]).sum(dim=1) / cell**2
    sign = 2 * torch.as_tensor(target, dtype=added.dtype) - 1
    return added * sign.reshape(-1, 1, 1)


def grad_cam(model: FrameClassifier, images: Tensor, target: int | Sequence[int] = 1) -> np.ndarray:
    """Grad-CAM (N, S, S) of the maps that are averaged into the features, upsampled bilinearly."""
    network = guidable(model)
    maps = LayerGradCam(network, pooling(network)).attribute(
        _input(network, images), target, attribute_to_layer_input=True, relu_attributions=True
    )
    maps = LayerAttribution.interpolate(maps, tuple(images.shape[2:]), "bilinear")
    return maps.squeeze(1).detach().cpu().numpy()


def guided_backprop(
    model: nn.Module, images: Tensor, target: int | Sequence[int] = 1
) -> np.ndarray:
    """Guided backpropagation (Springenberg et al. 2015), signed, the shape of `images`."""
    network = guidable(model)
    with warnings.catch_warnings():
        # captum announces its hooks at every call; they sit on our copy.
        warnings.filterwarnings("ignore", message="Setting backward hooks on ReLU")
        gradients = GuidedBackprop(network).attribute(_input(network, images), target)
    return gradients.detach().cpu().numpy()


class ClampedReLU(nn.Sequential):
    """ReLU6 of which captum guides the ReLU."""

    def __init__(self):
        super().__init__(nn.ReLU(), nn.Hardtanh(0, 6))


def guidable(model: nn.Module) -> nn.Module:
    """A copy in eval mode whose activations are all plain nn.ReLU: captum guides no others.

    In-place activations would overwrite the values that captum's hooks read.
    Raises ValueError for a network with activations of another kind.
    """
    model = copy.deepcopy(model).eval()
    for layer in model.modules():
        if isinstance(layer, UNGUIDABLE):
            kind = type(layer).__name__
            raise ValueError(
                f"guided backpropagation is defined for ReLU networks, this has {kind}"
            )
        if isinstance(layer, nn.ReLU):
            layer.inplace = False
    return layers.replace(
        model, lambda layer: ClampedReLU() if isinstance(layer, nn.ReLU6) else None
    )


def pooling(model: nn.Module) -> nn.Module:
    """The global pooling. Its input is the last map with positions, which Grad-CAM explains.

    Raises ValueError where the network has none.
    """
    for name, layer in model.named_modules():
        if name.split(".")[-1] in ("avgpool", "global_pool"):
            return layer
    raise ValueError("Grad-CAM: the network has no global pooling named avgpool or global_pool")


def _input(network: nn.Module, images: Tensor) -> Tensor:
    """A copy on the network's device that requires gradients (else captum warns)."""
    device = next(network.parameters()).device
    return images.detach().to(device, copy=True).requires_grad_()
