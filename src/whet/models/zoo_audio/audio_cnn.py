"""A small convolutional network over the whole spectrogram, for training from scratch. Source: similar to CNN10 of Kong et al.
2020, arXiv:1912.10211, with fewer channels."""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from whet.models.zoo.scaling import multiple_of_eight

_CHANNELS = (16, 32, 64, 128)


class _Block(nn.Sequential):
    """Two 3x3 convolutions (times `depth`), then average pooling that halves time and bands."""

    def __init__(self, inputs: int, outputs: int, depth: int) -> None:
        layers: list[nn.Module] = []
        for number in range(2 * depth):
            layers += [
                nn.Conv2d(outputs if number else inputs, outputs, 3, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
            ]
        super().__init__(*layers, nn.AvgPool2d(2, ceil_mode=True))


class AudioCNN(nn.Module):
    """Log-mel spectrograms (B, 1, frames, mels), at least 16 mels -> 128 features (times `width`): the mean over the bands, then
    the sum of maximum and mean over time."""

    def __init__(self, width: float = 1.0, depth: int = 1) -> None:
        super().__init__()
        channels = [1, *(multiple_of_eight(count * width) for count in _CHANNELS)]
        self.blocks = nn.Sequential(*(_Block(a, b, depth) for a, b in pairwise(channels)))
        self.outputs = channels[-1]
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, x_BCLM: Tensor) -> Tensor:
        x_BDL = self.blocks(F.pad(x_BCLM, (0, 0, 0, max(0, 16 - x_BCLM.shape[2])))).mean(dim=3)
        return x_BDL.amax(dim=2) + x_BDL.mean(dim=2)


def audio_cnn(*, width: float = 1.0, depth: int = 1) -> tuple[nn.Module, int]:
    backbone = AudioCNN(width, depth)
    return backbone, backbone.outputs
