from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from whet.core.batch import Context
from whet.core.errors import NoEffectError
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Changes
from whet.models.attach import attach_after
from whet.models.net import Net


class DropBlock(
    Method, Changes, family="regularize", name="dropblock", tasks={"image-classification", "semantic-segmentation"}
):
    """Set square regions of the feature maps to zero during training and scale up the rest.

    Use when: a convolutional network overfits and plain dropout has little effect, because neighboring positions are correlated.
    Do not use when: training is short, or the feature maps are hardly larger than the block.
    Source: Ghiasi, Lin, Le 2018, arXiv:1810.12890.
    Deviates: the probability is constant instead of increasing during training.
    Shapes: feature maps (B, C, H, W) after the BatchNorm layers (after the convolutions if there are none). Each channel has its
    own squares. The mask depends only on (seed, step).
    """

    identity = {"prob": 0.0}
    conflicts = frozenset({"linear_probe"})

    prob: Annotated[float, Field(ge=0, lt=1, description="fraction of each feature map to drop"), Search(0.02, 0.3)] = (
        0.1
    )
    block: Annotated[
        int,
        Field(ge=1, description="side length of a square, at most that of the feature map"),
        Search(choices=(3, 5, 7)),
    ] = 7
    from_depth: Annotated[
        float,
        Field(ge=0, lt=1, description="fraction of the layers, starting at the input, without DropBlock"),
        Search(0.0, 0.8),
    ] = 0.5

    def change(self, net: Net, context: Context) -> Net:
        if self.prob == 0:
            return net
        layers: list[nn.Module] = [m for m in net.backbone.modules() if isinstance(m, nn.BatchNorm2d)]
        layers = layers or [m for m in net.backbone.modules() if isinstance(m, nn.Conv2d)]
        if not layers:
            raise NoEffectError("the backbone has no convolution")
        for layer in layers[int(self.from_depth * len(layers)) :]:
            attach_after(layer, "dropblock", _DropBlock(self.prob, self.block))
        return net


class _DropBlock(nn.modules.dropout._DropoutNd):
    def __init__(self, p: float, block: int) -> None:
        super().__init__(p)
        self._block = block

    def forward(self, x_BCHW: Tensor) -> Tensor:
        if not self.training:
            return x_BCHW
        B, C, H, W = x_BCHW.shape
        block = min(self._block, H, W)
        # Squares lie entirely on the map, so a corner has fewer positions than the map. The probability makes up for it.
        height, width = H - block + 1, W - block + 1
        prob = min(1.0, self.p * H * W / (block**2 * height * width))
        corner = torch.empty((B, C, height, width), device=x_BCHW.device).bernoulli_(prob)
        kept = 1 - F.max_pool2d(F.pad(corner, [block - 1] * 4), block, stride=1)
        scale = kept.numel() / kept.sum().clamp(min=1)
        return x_BCHW * (kept * scale).to(x_BCHW.dtype)
