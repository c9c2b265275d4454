"""VGG16. Source: Simonyan & Zisserman 2015, arXiv:1409.1556 (configuration D).

Parameter names are torchvision's, so that its ImageNet weights can be loaded. The paper's dropout between the fully
connected layers is the method `dropout`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # channels, convolutions; each ends with a pool


class VGG16(nn.Module):
    """Images of at least 32 px -> the 4,096 features before the last linear layer."""

    def __init__(self, width: float = 1.0, depth: int = 1) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for size, count in _STAGES:
            for _ in range(count * depth):
                layers += [nn.Conv2d(channels, max(1, round(size * width)), 3, padding=1), nn.ReLU(inplace=True)]
                channels = max(1, round(size * width))
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        # Indices 0 and 3 are torchvision's linear layers; 2 and 5 are its dropouts.
        self.classifier = nn.Sequential(
            nn.Linear(channels * 7 * 7, 4096), nn.ReLU(inplace=True), nn.Identity(),
            nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Identity(),
        )  # fmt: skip
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.avgpool(self.features(x_BCHW)), 1))


def vgg16(*, width: float = 1.0, depth: int = 1) -> tuple[nn.Module, int]:
    return VGG16(width, depth), 4096
