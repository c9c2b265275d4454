"""EfficientNet-B0. Source: Tan & Le 2019, arXiv:1905.11946.

Parameter names are torchvision's, so that its ImageNet weights can be loaded. The paper's stochastic depth and dropout are the
methods of those names.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from whet.models.depthwise import speed_up_depthwise
from whet.models.zoo.scaling import multiple_of_eight

_STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
"""Expansion, kernel, stride of the first block, channels, blocks."""


class _ConvNorm(nn.Sequential):
    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, activated: bool = True
    ) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(outputs),
            *([nn.SiLU(inplace=True)] if activated else []),
        )


class _SqueezeExcite(nn.Module):
    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(channels, squeezed, 1), nn.Conv2d(squeezed, channels, 1)
        self.activation = nn.SiLU(inplace=True)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        mean_BC11 = x_BCHW.mean(dim=(2, 3), keepdim=True)
        return x_BCHW * torch.sigmoid(self.fc2(self.activation(self.fc1(mean_BC11))))


class _MBConv(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        layers: list[nn.Module] = [] if expansion == 1 else [_ConvNorm(inputs, inner, 1)]
        layers += [
            _ConvNorm(inner, inner, kernel, stride, groups=inner),
            _SqueezeExcite(inner, max(1, inputs // 4)),
            _ConvNorm(inner, outputs, 1, activated=False),
        ]
        self.block = nn.Sequential(*layers)
        # End of the branch, for methods; a block that changes the size has no residual connection.
        self.drop_path = nn.Identity() if stride == 1 and inputs == outputs else None

    def forward(self, x_BCHW: Tensor) -> Tensor:
        branch = self.block(x_BCHW)
        return branch if self.drop_path is None else x_BCHW + self.drop_path(branch)


class EfficientNetB0(nn.Module):
    """Images of any size -> 1,280 features (times `width`). The resolution is halved five times: 32 px become one cell."""

    def __init__(self, width: float = 1.0, depth: int = 1) -> None:
        super().__init__()
        channels, self.outputs = multiple_of_eight(32 * width), multiple_of_eight(1280 * width)
        stages: list[nn.Module] = [_ConvNorm(3, channels, 3, stride=2)]
        for expansion, kernel, stride, size, count in _STAGES:
            blocks, outputs = [], multiple_of_eight(size * width)
            for number in range(count * depth):
                blocks.append(_MBConv(channels, outputs, kernel, stride if number == 0 else 1, expansion))
                channels = outputs
            stages.append(nn.Sequential(*blocks))
        self.features = nn.Sequential(*stages, _ConvNorm(channels, self.outputs, 1))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        speed_up_depthwise(self)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return torch.flatten(self.avgpool(self.features(x_BCHW)), 1)


def efficientnet_b0(*, width: float = 1.0, depth: int = 1) -> tuple[nn.Module, int]:
    backbone = EfficientNetB0(width, depth)
    return backbone, backbone.outputs
