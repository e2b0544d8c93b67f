"""Two convolutions of EfficientNet computed another way: the same results, fewer operations.

Both keep the weights of the layer they replace, so checkpoints do not notice.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SamePadding(nn.Conv2d):
    """TensorFlow's "same" padding of a strided convolution without a padding operation.

    On an even side it pads one more pixel after the picture than before. A zero row and column
    before the kernel and symmetric padding do the same. Padding first costs up to a third of a
    forward pass on a CPU, and torch2trt's padding is gone from TensorRT 10.
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
    as that of the matrix (pixels x pixels, per channel) that the convolution then amounts to.
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


def quicken(network: nn.Module) -> nn.Module:
    """Let a timm network compute these two kinds of layers as above, in place."""
    from timm.layers import Conv2dSame

    for layer in network.modules():
        if not isinstance(layer, nn.Conv2d) or layer.dilation != (1, 1) or _even(layer):
            continue
        depthwise = 1 < layer.groups == layer.in_channels == layer.out_channels
        if type(layer) is Conv2dSame and layer.stride == (2, 2):
            layer.__class__ = SamePadding
        elif type(layer) is nn.Conv2d and depthwise and layer.stride == (1, 1) and _centred(layer):
            layer.__class__ = Depthwise
    return network


def _even(layer: nn.Conv2d) -> bool:
    height, width = layer.kernel_size
    return height != width or height % 2 == 0


def _centred(layer: nn.Conv2d) -> bool:
    return layer.bias is None and layer.padding == tuple(k // 2 for k in layer.kernel_size)


def plain(network: nn.Module, image_size: int) -> nn.Module:
    """Turn these layers into ordinary nn.Conv2d for square pictures of one size, in place.

    For export: conversion then meets nothing but conv2d.
    """
    sides = {}
    strided = [layer for layer in network.modules() if isinstance(layer, SamePadding)]
    hooks = [
        layer.register_forward_pre_hook(
            lambda layer, inputs: sides.__setitem__(layer, tuple(inputs[0].shape[-2:]))
        )
        for layer in strided
    ]
    if strided:
        with torch.no_grad():
            network(next(network.parameters()).new_zeros(1, 3, image_size, image_size))
    for hook in hooks:
        hook.remove()
    for layer in strided:
        padding = layer.kernel_size[0] // 2
        layer.weight = nn.Parameter(layer.kernel(sides[layer]).detach())
        layer.kernel_size, layer.padding = tuple(layer.weight.shape[-2:]), (padding, padding)
    for layer in network.modules():
        if isinstance(layer, (SamePadding, Depthwise)):
            layer.__class__ = nn.Conv2d
    return network
