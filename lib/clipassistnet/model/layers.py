"""Two convolutions of EfficientNet computed another way: the same results, fewer operations.

Both take over the weights of the layer they replace, so a checkpoint keeps its names and shapes.
"""

from __future__ import annotations

from typing import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SamePadding(nn.Conv2d):
    """TensorFlow's "same" padding of a strided convolution without a padding operation.

    On an even side it pads one more pixel after the picture than before. A zero row and column
    before the kernel and symmetric padding do the same. Padding first costs up to a third of a
    forward pass on a CPU, and torch2trt's padding fails on TensorRT 10.
    """

    def kernel(self, side: tuple[int, int]) -> Tensor:
        """The kernel for a picture of (height, width): a zero row or column more if even."""
        height, width = side
        return F.pad(self.weight, (1 - width % 2, 0, 1 - height % 2, 0))

    def forward(self, x: Tensor) -> Tensor:
        padding = self.weight.shape[-1] // 2
        kernel = self.kernel((x.shape[-2], x.shape[-1]))
        return F.conv2d(x, kernel, self.bias, self.stride, padding, 1, self.groups)


class Depthwise(nn.Conv2d):
    """A depthwise convolution that trains quickly on maps of about half its kernel.

    On a 3 x 3 map (96-pixel frames) the gradient of a 5 x 5 kernel takes oneDNN ten times as long
    as that of the matrix (pixels x pixels, per channel) which the convolution amounts to there.
    """

    def forward(self, x: Tensor) -> Tensor:
        size, (height, width) = self.weight.shape[-1], x.shape[-2:]
        every_pixel_within_reach = max(height, width) <= size // 2 + 1
        if not (self.training and self.weight.requires_grad and every_pixel_within_reach):
            return super().forward(x)
        pixel = torch.arange(height * width, device=x.device)
        row, column = pixel // width, pixel % width
        tap = (row - row[:, None] + size // 2) * size + column - column[:, None] + size // 2
        maps = torch.bmm(self.weight.flatten(1)[:, tap], x.flatten(2).permute(1, 2, 0))
        return maps.permute(2, 0, 1).reshape(x.shape)


def replace(network: nn.Module, substitute: Callable[[nn.Module], nn.Module | None]) -> nn.Module:
    """Put substitute(layer) in place of every layer within a network, unless it is None.

    Returns the network itself.
    """
    for parent in list(network.modules()):
        for name, layer in list(parent.named_children()):
            new = substitute(layer)
            if new is not None:
                setattr(parent, name, new)
    return network


def quicken(network: nn.Module) -> nn.Module:
    """Replace the layers of a timm network that SamePadding and Depthwise compute, in place."""
    from timm.layers import Conv2dSame

    def substitute(layer: nn.Module) -> nn.Module | None:
        if not isinstance(layer, nn.Conv2d) or layer.dilation != (1, 1) or _even(layer):
            return None
        depthwise = 1 < layer.groups == layer.in_channels == layer.out_channels
        if type(layer) is Conv2dSame and layer.stride == (2, 2):
            return _convolution(SamePadding, layer)
        if type(layer) is nn.Conv2d and depthwise and layer.stride == (1, 1) and _centred(layer):
            return _convolution(Depthwise, layer)
        return None

    return replace(network, substitute)


def plain(network: nn.Module, image_size: int) -> nn.Module:
    """Replace these layers by ordinary nn.Conv2d for square pictures of one size, in place.

    An exported network then has no other kind of convolution.
    """
    sides = _sides(network, image_size)

    def substitute(layer: nn.Module) -> nn.Module | None:
        if isinstance(layer, SamePadding):
            kernel = nn.Parameter(layer.kernel(sides[layer]).detach())
            padding = layer.kernel_size[0] // 2
            return _convolution(nn.Conv2d, layer, weight=kernel, padding=(padding, padding))
        return _convolution(nn.Conv2d, layer) if isinstance(layer, Depthwise) else None

    return replace(network, substitute)


def _convolution(
    kind: type[nn.Conv2d],
    layer: nn.Conv2d,
    *,
    weight: nn.Parameter | None = None,
    padding: tuple[int, int] | None = None,
) -> nn.Conv2d:
    """A convolution of another kind with the layer's own parameters, or with another kernel."""
    weight = layer.weight if weight is None else weight
    new = kind(
        layer.in_channels,
        layer.out_channels,
        tuple(weight.shape[-2:]),
        layer.stride,
        layer.padding if padding is None else padding,
        groups=layer.groups,
        bias=layer.bias is not None,
        device="meta",  # draws no weights: the global generator stays as it is
    )
    new.weight, new.bias = weight, layer.bias
    return new.train(layer.training)


def _sides(network: nn.Module, image_size: int) -> dict[nn.Module, tuple[int, int]]:
    """(height, width) of what each SamePadding layer is given, for square pictures."""
    strided = [layer for layer in network.modules() if isinstance(layer, SamePadding)]
    sides: dict[nn.Module, tuple[int, int]] = {}

    def note(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        sides[layer] = (inputs[0].shape[-2], inputs[0].shape[-1])

    hooks = [layer.register_forward_pre_hook(note) for layer in strided]
    if strided:
        with torch.no_grad():
            network(next(network.parameters()).new_zeros(1, 3, image_size, image_size))
    for hook in hooks:
        hook.remove()
    return sides


def _even(layer: nn.Conv2d) -> bool:
    height, width = layer.kernel_size
    return height != width or height % 2 == 0


def _centred(layer: nn.Conv2d) -> bool:
    return layer.bias is None and layer.padding == tuple(k // 2 for k in layer.kernel_size)
