"""ResNet-9 for small images. Source: D. Page 2018, "How to train your ResNet" (DAWNBench CIFAR-10)."""

from __future__ import annotations

from torch import Tensor, nn


class _ConvNorm(nn.Sequential):
    def __init__(self, inputs: int, outputs: int, pool: bool = False) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        ]
        if pool:
            layers.append(nn.MaxPool2d(2))
        super().__init__(*layers)


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_ConvNorm(width, width), _ConvNorm(width, width))
        self.drop_path = nn.Identity()  # end of the branch, for methods

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return x_BCHW + self.drop_path(self.body(x_BCHW))


class _Scale(nn.Module):
    """The source scales the logits by 1/8; scaling the features is equivalent, and keeps the head linear."""

    def forward(self, x_BD: Tensor) -> Tensor:
        return x_BD * 0.125


def resnet9(channels: int = 64, *, width: float = 1.0, depth: int = 1) -> tuple[nn.Module, int]:
    """Eight convolutions; the head is the linear layer. `channels` (times `width`) in the first layer, eight times as many in the
    last, `depth` residual blocks in a row. Takes images of at least 8 px."""
    first = max(1, round(channels * width))
    backbone = nn.Sequential(
        _ConvNorm(3, first),
        _ConvNorm(first, 2 * first, pool=True),
        *(_Residual(2 * first) for _ in range(depth)),
        _ConvNorm(2 * first, 4 * first, pool=True),
        _ConvNorm(4 * first, 8 * first, pool=True),
        *(_Residual(8 * first) for _ in range(depth)),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        _Scale(),
    )
    return backbone, 8 * first
