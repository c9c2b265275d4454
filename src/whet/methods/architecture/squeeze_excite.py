from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from whet.core.batch import Context
from whet.core.errors import NoEffectError
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Changes
from whet.models.attach import attach_after
from whet.models.net import Net
from whet.models.residual import residual_branches


class SqueezeExcite(
    Method,
    Changes,
    family="architecture",
    tasks={"image-classification", "semantic-segmentation", "audio-classification"},
):
    """Scale each channel by a gate that a small network computes from the mean of the whole feature map.

    Use when: a convolutional network is trained from scratch and a little more computation is acceptable.
    Do not use when: fine-tuning pretrained weights, which were trained without the gates, or the network already has such gates.
    Source: Hu, Shen, Sun 2018, arXiv:1709.01507.
    Shapes: feature maps (B, C, H, W) times gates (B, C) in 0 … 1 at the end of each residual branch. In a network without
    residual branches the gates follow every BatchNorm, or every convolution if there is no BatchNorm.
    """

    identity = None
    exceptions = {"identity": "the gates are always active"}
    order = 10
    conflicts = frozenset({"linear_probe"})

    reduction: Annotated[
        int, Field(ge=1, le=64, description="channels per hidden unit of the gates"), Search(choices=(4, 8, 16))
    ] = 16

    def change(self, net: Net, context: Context) -> Net:
        layers = _gated_layers(net.backbone)
        if not layers:
            raise NoEffectError("the backbone has no feature maps")
        for layer, channels in layers:
            attach_after(layer, "squeeze_excite", _Gates(channels, max(1, channels // self.reduction)))
        net.built_with(self)
        return net


class _Gates(nn.Module):
    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.gates = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels), nn.Sigmoid())

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return x_BCHW * self.gates(x_BCHW.mean(dim=(2, 3)))[:, :, None, None]


def _gated_layers(backbone: nn.Module) -> list[tuple[nn.Module, int]]:
    """The layers that gates follow, and their numbers of channels."""
    branches = residual_branches(backbone)
    if branches:
        normed = [(branch.end, _norms(branch.block)) for branch in branches]
        return [(end, norms[-1].num_features) for end, norms in normed if norms]
    norms = _norms(backbone)
    if norms:
        return [(norm, norm.num_features) for norm in norms]
    return [(layer, layer.out_channels) for layer in backbone.modules() if isinstance(layer, nn.Conv2d)]


def _norms(block: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in block.modules() if isinstance(module, nn.BatchNorm2d)]
