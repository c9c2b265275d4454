"""YAMNet: MobileNetV1 over log-mel patches. Source: Howard et al. 2017, arXiv:1704.04861 (the network); Hershey et al. 2017,
arXiv:1609.09430 (patches of 0.96 s); tensorflow/models, research/audioset/yamnet (weights and settings).

Parameter names are those of the converted weights, so that they can be loaded.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from whet.core.errors import WeightsError
from whet.models.mel import YAMNET_MEL
from whet.models.same_padding import TensorFlowConv2d, TensorFlowDepthwiseConv2d
from whet.models.zoo.scaling import multiple_of_eight
from whet.models.zoo_audio.yamnet_h5 import PLACE, read_h5

_LAYERS = (
    (64, 1, 1),
    (128, 2, 1),
    (128, 1, 1),
    (256, 2, 1),
    (256, 1, 1),
    (512, 2, 1),
    (512, 1, 5),
    (1024, 2, 1),
    (1024, 1, 1),
)
"""Channels, stride of the first layer, number of layers."""
PATCH, STEP = 96, 48
"""Length and step of the patches in frames: 0.96 and 0.48 s."""


class _ConvNorm(nn.Sequential):
    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(
            (TensorFlowDepthwiseConv2d if stride > 1 and groups > 1 else TensorFlowConv2d)(
                inputs, outputs, kernel, stride, groups=groups, bias=False
            ),
            nn.BatchNorm2d(outputs, eps=1e-3),
            nn.ReLU(inplace=True),
        )


class YAMNet(nn.Module):
    """Log-mel spectrograms (B, 1, frames, 64) -> 1,024 features (times `width`): the mean over the clip's patches, of which the
    last is padded with silence, as in the original."""

    def __init__(self, width: float = 1.0, depth: int = 1) -> None:
        super().__init__()
        channels = multiple_of_eight(32 * width)
        layers: list[nn.Module] = [_ConvNorm(1, channels, 3, stride=2)]
        for size, stride, count in _LAYERS:
            outputs = multiple_of_eight(size * width)
            for number in range(count * depth):
                layers.append(_ConvNorm(channels, channels, 3, stride if number == 0 else 1, groups=channels))
                layers.append(_ConvNorm(channels, outputs, 1))
                channels = outputs
        self.features, self.outputs = nn.Sequential(*layers), channels
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, x_BCLM: Tensor) -> Tensor:
        patches_BPLM = patches(x_BCLM)
        B, P = patches_BPLM.shape[:2]
        return self.features(patches_BPLM.flatten(0, 1)[:, None]).mean(dim=(2, 3)).view(B, P, -1).mean(dim=1)


def patches(x_BCLM: Tensor, silence: float = YAMNET_MEL.silence) -> Tensor:
    """(B, 1, frames, mels) -> (B, patches, 96, mels), padded with silence at the end."""
    frames = x_BCLM.shape[2]
    count = 1 + -(-max(0, frames - PATCH) // STEP)
    x_BLM = F.pad(x_BCLM[:, 0], (0, 0, 0, PATCH + STEP * (count - 1) - frames), value=silence)
    return x_BLM.unfold(1, PATCH, STEP).transpose(2, 3)


def yamnet(*, width: float = 1.0, depth: int = 1) -> tuple[nn.Module, int]:
    backbone = YAMNet(width, depth)
    return backbone, backbone.outputs


def load_yamnet(backbone: nn.Module, path: Path) -> dict[str, Tensor]:
    """Load the AudioSet weights of a safetensors file, or of TensorFlow's yamnet.h5, into a backbone of width and depth 1. Returns
    the other tensors of a safetensors file: the classifier of AudioSet's 521 classes. Raises WeightsError."""
    if not path.is_file():
        raise WeightsError(
            f"weights {path} do not exist; accepted for audio clips: TensorFlow's yamnet.h5 ({PLACE}), the same as .safetensors, "
            "or a folder of transformers"
        )
    try:
        weights = (
            read_h5(path)
            if path.suffix == ".h5"
            else {name: tensor.float() for name, tensor in load_file(path).items()}
        )
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: not readable as safetensors weights: {error}") from None
    own = {name: tensor for name, tensor in backbone.state_dict().items() if not name.endswith("num_batches_tracked")}
    for name, tensor in own.items():
        if name not in weights:
            raise WeightsError(f"{path}: no weights '{name}', which YAMNet has")
        if weights[name].shape != tensor.shape:
            raise WeightsError(f"{path}: '{name}' is {tuple(weights[name].shape)}; YAMNet's is {tuple(tensor.shape)}")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(weights[name])
    return {name: tensor for name, tensor in weights.items() if name not in own}
