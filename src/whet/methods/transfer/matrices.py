"""The layers of a backbone whose weight is a matrix or can be reshaped to one."""

from __future__ import annotations

from torch import nn

from whet.core.errors import NoEffectError
from whet.models.net import Net


def matrix_layers(net: Net) -> list[nn.Linear | nn.Conv1d | nn.Conv2d]:
    """The linear layers and convolutions of the backbone, without depthwise and other grouped convolutions."""
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d)
    found = [layer for layer in net.backbone.modules() if isinstance(layer, kinds) and getattr(layer, "groups", 1) == 1]
    if not found:
        raise NoEffectError("the backbone has no linear layer and no ungrouped convolution")
    return found
