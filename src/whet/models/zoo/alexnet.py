"""AlexNet. Source: Krizhevsky 2014, arXiv:1404.5997 (the one-column form of Krizhevsky, Sutskever, Hinton 2012).

Parameter names are torchvision's, so that its ImageNet weights can be loaded. The paper's dropout between the fully connected
layers is the method `dropout`. Convolutions are initialised as in He et al. 2015 (arXiv:1502.01852), instead of a standard
deviation of 0.01, which is too slow for a short training.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_LEAST = 64
_STAGES = (((64, 11, 4, 2),), ((192, 5, 1, 2),), ((384, 3, 1, 1), (256, 3, 1, 1), (256, 3, 1, 1)))
"""Channels, kernel, stride, padding of the convolutions; a pool ends each stage."""


class AlexNet(nn.Module):
    """Images of any size -> the 4,096 features before the last linear layer. Images under 64 px are enlarged to 64 px first,
    because the first layer's stride of 4 and three pools would reduce them to nothing. `width` applies to the convolutions, as in
    VGG16."""

    def __init__(self, width: float = 1.0, depth: int = 1) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for stage in _STAGES:
            for outputs, kernel, stride, padding in stage:
                outputs = max(1, round(outputs * width))
                layers += [nn.Conv2d(channels, outputs, kernel, stride, padding), nn.ReLU(inplace=True)]
                for _ in range(depth - 1):
                    layers += [nn.Conv2d(outputs, outputs, 3, padding=1), nn.ReLU(inplace=True)]
                channels = outputs
            layers.append(nn.MaxPool2d(3, 2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(6)
        # Indices 1 and 4 are torchvision's linear layers; 0 and 3 are its dropouts.
        self.classifier = nn.Sequential(
            nn.Identity(), nn.Linear(channels * 6 * 6, 4096), nn.ReLU(inplace=True),
            nn.Identity(), nn.Linear(4096, 4096), nn.ReLU(inplace=True),
        )  # fmt: skip
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        size = [max(_LEAST, side) for side in x_BCHW.shape[2:]]
        if size != list(x_BCHW.shape[2:]):
            x_BCHW = F.interpolate(x_BCHW, size=size, mode="bilinear", align_corners=False)
        return self.classifier(torch.flatten(self.avgpool(self.features(x_BCHW)), 1))


def alexnet(*, width: float = 1.0, depth: int = 1) -> tuple[nn.Module, int]:
    return AlexNet(width, depth), 4096
