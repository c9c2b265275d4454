"""ConvMixer. Source: Trockman & Kolter 2022, arXiv:2201.09792 ("Patches are all you need?")."""

from __future__ import annotations

from torch import Tensor, nn

_CHANNELS, _BLOCKS, _KERNEL, _PATCH = 256, 8, 5, 2


class _MixPlaces(nn.Module):
    """A depthwise convolution with a residual connection."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, _KERNEL, groups=channels, padding=_KERNEL // 2),
            nn.GELU(),
            nn.BatchNorm2d(channels),
        )
        self.drop_path = nn.Identity()  # end of the branch, for methods

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return x_BCHW + self.drop_path(self.body(x_BCHW))


def convmixer(*, width: float = 1.0, depth: int = 1) -> tuple[nn.Module, int]:
    """The paper's ConvMixer-256/8 for small images: patches of 2 px, kernels of 5; 256 features. All maps have half the image
    size, so time and memory grow with its area: at 224 px one training sample needs most of a gigabyte."""
    channels = max(1, round(_CHANNELS * width))
    backbone = nn.Sequential(
        nn.Conv2d(3, channels, _PATCH, stride=_PATCH), nn.GELU(), nn.BatchNorm2d(channels),
        *(
            nn.Sequential(_MixPlaces(channels), nn.Conv2d(channels, channels, 1), nn.GELU(), nn.BatchNorm2d(channels))
            for _ in range(_BLOCKS * depth)
        ),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip
    return backbone, channels
