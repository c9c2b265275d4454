"""TensorFlow's SAME padding as part of the convolution, where it is symmetric.

transformers' MobileNets pad every layer's input in a separate step, including 1x1 convolutions (with zero padding, which still
copies): 7 % of a training step.
"""

from __future__ import annotations

import copy
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from whet.models.depthwise import StridedDepthwiseConv2d


class SamePaddedConv2d(nn.Conv2d):
    """A stride-1 convolution with odd kernel size and zero padding, whose output has the size of its input."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        padding = [step * (size - 1) // 2 for size, step in zip(self.kernel_size, self.dilation)]
        return F.conv2d(x_BCHW, self.weight, self.bias, 1, padding, self.dilation, self.groups)


def pad_inside(model: nn.Module) -> int:
    """Move TensorFlow-style padding of stride-1 layers into their convolutions, in place; return the number of changed layers. The
    model's own config, its parameters and its outputs are unchanged."""
    count = 0
    for layer in model.modules():
        config, convolution = getattr(layer, "config", None), getattr(layer, "convolution", None)
        if not getattr(config, "tf_padding", False) or type(convolution) is not nn.Conv2d:
            continue
        odd = all(size % 2 for size in convolution.kernel_size)
        # With dilation, transformers pads as if there were none.
        if not odd or max(convolution.stride) > 1 or max(convolution.dilation) > 1 or any(convolution.padding):
            continue
        _without_padding(layer)
        convolution.__class__ = SamePaddedConv2d
        count += 1
    return count


def own_padding(model: nn.Module, convolution: nn.Conv2d) -> None:
    """Remove the separate padding step before this convolution, which pads its input itself from now on."""
    for layer in model.modules():
        if getattr(layer, "convolution", None) is convolution and getattr(layer.config, "tf_padding", False):
            _without_padding(layer)


def _without_padding(layer: nn.Module) -> None:
    own: Any = copy.copy(layer.config)
    own.tf_padding = False
    layer.config = own


class TensorFlowConv2d(nn.Conv2d):
    """A convolution of any stride with TensorFlow's SAME padding: ceil(size / stride) outputs; an odd row of padding is added at
    the end."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        (top, bottom), (left, right) = same_paddings(self, x_BCHW)
        if (top, left) == (bottom, right):
            return F.conv2d(x_BCHW, self.weight, self.bias, self.stride, (top, left), 1, self.groups)
        padded = F.pad(x_BCHW, (left, right, top, bottom))
        return F.conv2d(padded, self.weight, self.bias, self.stride, 0, 1, self.groups)


class TensorFlowDepthwiseConv2d(StridedDepthwiseConv2d):
    """A strided depthwise convolution with TensorFlow's SAME padding, and a faster gradient on the CPU."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        (top, bottom), (left, right) = same_paddings(self, x_BCHW)
        return super().forward(F.pad(x_BCHW, (left, right, top, bottom)))


def same_paddings(convolution: nn.Conv2d, x_BCHW: Tensor) -> list[tuple[int, int]]:
    """Zeros before and after, in height and width, for TensorFlow's SAME padding."""
    found = []
    for size, kernel, stride in zip(x_BCHW.shape[2:], convolution.kernel_size, convolution.stride):
        total = max(0, (-(-size // stride) - 1) * stride + kernel - size)
        found.append((total // 2, total - total // 2))
    return found
