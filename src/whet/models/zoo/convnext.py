"""ConvNeXt, the smallest. Source: Liu et al. 2022, arXiv:2201.03545; the sizes of "atto" from Woo et al. 2023, arXiv:2301.00808.

The paper's stochastic depth is the method of that name.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_STAGES = ((40, 2), (80, 2), (160, 6), (320, 2))  # channels, blocks
_EPSILON = 1e-6


class _Norm(nn.LayerNorm):
    """Layer normalisation over the channels of (B, C, H, W)."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return super().forward(x_BCHW.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class _Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.places = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=_EPSILON)
        self.mix = nn.Sequential(nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels))
        self.scale = nn.Parameter(torch.full((channels,), 1e-6))
        self.drop_path = nn.Identity()  # end of the branch, for methods

    def forward(self, x_BCHW: Tensor) -> Tensor:
        branch = self.mix(self.norm(self.places(x_BCHW).permute(0, 2, 3, 1)))
        return x_BCHW + self.drop_path((self.scale * branch).permute(0, 3, 1, 2))


def convnext_atto(*, width: float = 1.0, depth: int = 1) -> tuple[nn.Module, int]:
    """Images of at least 32 px -> 320 features (times `width`); `depth` multiplies the blocks per stage."""
    layers: list[nn.Module] = []
    inputs = 3
    for size, count in _STAGES:
        channels = max(1, round(size * width))
        if not layers:
            layers = [nn.Conv2d(inputs, channels, 4, stride=4), _Norm(channels, eps=_EPSILON)]
        else:
            layers += [_Norm(inputs, eps=_EPSILON), nn.Conv2d(inputs, channels, 2, stride=2)]
        layers += [_Block(channels) for _ in range(count * depth)]
        inputs = channels
    backbone = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(inputs, eps=_EPSILON))
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return backbone, inputs
