"""Small image networks, to train from scratch and to compare architectures.

Each entry builds a backbone (B, 3, H, W) -> (B, D) with random weights and returns it with D. It takes images of any size from 32
px. `width` multiplies its channels, `depth` its layers per stage. Modules are named in depth order, and a residual branch ends in
a layer `drop_path`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from torch import Tensor, nn

from whet.models.zoo.alexnet import alexnet
from whet.models.zoo.convmixer import convmixer
from whet.models.zoo.convnext import convnext_atto
from whet.models.zoo.efficientnet import efficientnet_b0
from whet.models.zoo.efficientnet_lite0 import efficientnet_lite0, renamed
from whet.models.zoo.lenet import lenet
from whet.models.zoo.mobilenet_v2 import mobilenet_v2
from whet.models.zoo.resnet9 import resnet9
from whet.models.zoo.resnet18 import resnet18
from whet.models.zoo.vgg import vgg16
from whet.models.zoo.vit import vit_tiny


class Builder(Protocol):
    def __call__(self, *, width: float = 1.0, depth: int = 1) -> tuple[nn.Module, int]: ...


# The command line's help lists them too, without loading torch: cli/options.py.
ZOO: dict[str, Builder] = {
    "lenet": lenet,
    "alexnet": alexnet,
    "vgg16": vgg16,
    "resnet9": partial(resnet9, 64),
    "resnet9_slim": partial(resnet9, 16),
    "resnet18": resnet18,
    "mobilenet_v2": mobilenet_v2,
    "efficientnet_b0": efficientnet_b0,
    "efficientnet_lite0": efficientnet_lite0,
    "convmixer": convmixer,
    "convnext_atto": convnext_atto,
    "vit_tiny": vit_tiny,
}


@dataclass(frozen=True)
class Pretrained:
    """What the ImageNet weights of a network expect: inputs with this mean and standard deviation, from images of this size.
    renamed: their tensors under the names of the network."""

    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    size: int | None = None
    renamed: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]] = dict


PRETRAINED = {"efficientnet_lite0": Pretrained((127 / 255,) * 3, (128 / 255,) * 3, 224, renamed)}
"""For the others: torchvision's weights."""

__all__ = ["PRETRAINED", "ZOO", "Pretrained"]
