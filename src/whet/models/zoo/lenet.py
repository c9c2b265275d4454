"""LeNet-5. Source: LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to document recognition".

Deviates, following current practice: ReLU and max pooling instead of the scaled tanh and the trained averages; three colours; the
second layer uses all maps of the first.
"""

from __future__ import annotations

from torch import nn


def lenet(*, width: float = 1.0, depth: int = 1) -> tuple[nn.Module, int]:
    """Images of at least 16 px -> 84 features. At 32 px it is the original; larger maps are averaged to its 5 x 5 cells.
    `depth`: convolutions before each pool."""
    first, second, third, features = (max(1, round(count * width)) for count in (6, 16, 120, 84))
    backbone = nn.Sequential(
        *_stage(3, first, depth),
        *_stage(first, second, depth),
        nn.AdaptiveAvgPool2d(5), nn.Flatten(),
        nn.Linear(second * 5 * 5, third), nn.ReLU(inplace=True),
        nn.Linear(third, features), nn.ReLU(inplace=True),
    )  # fmt: skip
    return backbone, features


def _stage(inputs: int, outputs: int, depth: int) -> list[nn.Module]:
    """Convolutions and a pool; the first convolution has no padding, as in the original, the others keep the size."""
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, 5), nn.ReLU(inplace=True)]
    for _ in range(depth - 1):
        layers += [nn.Conv2d(outputs, outputs, 5, padding=2), nn.ReLU(inplace=True)]
    return [*layers, nn.MaxPool2d(2)]
