"""ResNet-9 for small pictures. Source: D. Page 2018, "How to train your ResNet" (DAWNBench CIFAR-10)."""

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

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return x_BCHW + self.body(x_BCHW)


class _Scale(nn.Module):
    """The source scales the logits by an eighth; scaling what they are made of is the same, and keeps the head linear."""

    def forward(self, x_BD: Tensor) -> Tensor:
        return x_BD * 0.125


def resnet9(width: int = 64) -> tuple[nn.Module, int]:
    """Eight convolutions and (outside, the head) one linear layer; `width` channels first, eight times as many last.
    Takes pictures of 8 px and more."""
    backbone = nn.Sequential(
        _ConvNorm(3, width),
        _ConvNorm(width, 2 * width, pool=True),
        _Residual(2 * width),
        _ConvNorm(2 * width, 4 * width, pool=True),
        _ConvNorm(4 * width, 8 * width, pool=True),
        _Residual(8 * width),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        _Scale(),
    )
    return backbone, 8 * width
