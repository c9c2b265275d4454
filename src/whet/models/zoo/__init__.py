"""Small networks written here, to train from scratch and to compare architectures with.

Each entry builds a backbone (B, 3, H, W) -> (B, D) with random weights and gives D.
"""

from collections.abc import Callable

from torch import nn

from whet.models.zoo.resnet9 import resnet9
from whet.models.zoo.vgg import vgg16

ZOO: dict[str, Callable[[], tuple[nn.Module, int]]] = {
    "resnet9": lambda: resnet9(width=64),
    "resnet9_slim": lambda: resnet9(width=16),
    "vgg16": vgg16,
}

__all__ = ["ZOO"]
