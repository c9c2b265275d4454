"""ResNet-18. Source: He, Zhang, Ren, Sun 2016, arXiv:1512.03385.

Parameter names are torchvision's, so that its ImageNet weights can be loaded.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class _BasicBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.activation = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.drop_path = nn.Identity()  # end of the branch, for methods
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        branch = self.bn2(self.conv2(self.activation(self.bn1(self.conv1(x_BCHW)))))
        return self.activation(self.drop_path(branch) + self.downsample(x_BCHW))


class ResNet18(nn.Module):
    """Images of any size -> 512 features (times `width`); two blocks per stage (times `depth`). The resolution is halved five
    times: 32 px become one cell, so use resnet9 for small images."""

    def __init__(self, width: float = 1.0, depth: int = 1) -> None:
        super().__init__()
        first = max(1, round(64 * width))
        self.conv1 = nn.Conv2d(3, first, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(first)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _stage(first, first, 2 * depth, stride=1)
        self.layer2 = _stage(first, 2 * first, 2 * depth, stride=2)
        self.layer3 = _stage(2 * first, 4 * first, 2 * depth, stride=2)
        self.layer4 = _stage(4 * first, 8 * first, 2 * depth, stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.features = 8 * first
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BCHW = self.maxpool(self.relu(self.bn1(self.conv1(x_BCHW))))
        x_BCHW = self.layer4(self.layer3(self.layer2(self.layer1(x_BCHW))))
        return torch.flatten(self.avgpool(x_BCHW), 1)


def _stage(inputs: int, outputs: int, count: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        _BasicBlock(inputs, outputs, stride), *(_BasicBlock(outputs, outputs, 1) for _ in range(count - 1))
    )


def resnet18(*, width: float = 1.0, depth: int = 1) -> tuple[nn.Module, int]:
    backbone = ResNet18(width, depth)
    return backbone, backbone.features
