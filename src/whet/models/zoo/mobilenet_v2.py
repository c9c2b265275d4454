"""MobileNetV2. Source: Sandler, Howard, Zhu, Zhmoginov, Chen 2018, arXiv:1801.04381.

Parameter names are torchvision's, so that its ImageNet weights can be loaded. The paper's dropout before the last layer is the
method `dropout`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from whet.models.depthwise import speed_up_depthwise
from whet.models.zoo.scaling import multiple_of_eight

_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Expansion, channels, blocks, stride of the first block."""


class _ConvNorm(nn.Sequential):
    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU6(inplace=True),
        )


class _InvertedResidual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        layers: list[nn.Module] = [] if expansion == 1 else [_ConvNorm(inputs, inner, 1)]
        layers += [
            _ConvNorm(inner, inner, 3, stride, groups=inner),
            nn.Conv2d(inner, outputs, 1, bias=False), nn.BatchNorm2d(outputs),
        ]  # fmt: skip
        self.conv = nn.Sequential(*layers)
        # End of the branch, for methods; a block that changes the size has no residual connection.
        self.drop_path = nn.Identity() if stride == 1 and inputs == outputs else None

    def forward(self, x_BCHW: Tensor) -> Tensor:
        branch = self.conv(x_BCHW)
        return branch if self.drop_path is None else x_BCHW + self.drop_path(branch)


class MobileNetV2(nn.Module):
    """Images of any size -> 1,280 features (times `width` if it is above one, as in the paper). The resolution is halved five
    times: 32 px become one cell."""

    def __init__(self, width: float = 1.0, depth: int = 1) -> None:
        super().__init__()
        channels, self.outputs = multiple_of_eight(32 * width), multiple_of_eight(1280 * max(1.0, width))
        layers: list[nn.Module] = [_ConvNorm(3, channels, 3, stride=2)]
        for expansion, size, count, stride in _STAGES:
            outputs = multiple_of_eight(size * width)
            for number in range(count * depth):
                layers.append(_InvertedResidual(channels, outputs, stride if number == 0 else 1, expansion))
                channels = outputs
        self.features = nn.Sequential(*layers, _ConvNorm(channels, self.outputs, 1))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
        speed_up_depthwise(self)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return torch.flatten(self.avgpool(self.features(x_BCHW)), 1)


def mobilenet_v2(*, width: float = 1.0, depth: int = 1) -> tuple[nn.Module, int]:
    backbone = MobileNetV2(width, depth)
    return backbone, backbone.outputs
