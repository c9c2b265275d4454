from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils import parametrize

from whet.core.batch import Context
from whet.core.errors import NoEffectError
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Changes
from whet.models.net import Net


class WeightNoise(
    Method, Changes, family="regularize", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Add Gaussian noise to the weights of the backbone in every training pass; what is updated and kept is without it.

    Use when: the training score runs far ahead of the validation score, in recurrent and small networks most of all.
    Do not use when: the model underfits, or awp or sam are in the recipe, which look for worse than random noise.
    Source: Murray & Edwards 1994; Graves 2011, "Practical variational inference for neural networks".
    Deviates: the noise is a share of each weight's own size (root mean square) instead of one size for all; biases and norms
    have none.
    Shapes: w -> w + strength * rms(w) * N(0, 1); the draw is keyed by (seed, step).
    """

    identity = {"strength": 0.0}
    order = 40
    conflicts = frozenset({"linear_probe"})

    strength: Annotated[
        float, Field(ge=0, description="noise as a share of the weights' root mean square"), Search(0.01, 0.5, log=True)
    ] = 0.075

    def change(self, net: Net, context: Context) -> Net:
        if self.strength == 0:
            return net
        layers = [m for m in net.backbone.modules() if isinstance(m, nn.Linear | nn.modules.conv._ConvNd)]
        if not layers:
            raise NoEffectError("the backbone has no convolution or linear layer")
        for layer in layers:
            parametrize.register_parametrization(layer, "weight", _Noisy(self.strength))
        return net


class _Noisy(nn.Module):
    def __init__(self, strength: float) -> None:
        super().__init__()
        self._strength = strength

    def forward(self, weight: Tensor) -> Tensor:
        if not self.training:
            return weight
        size = weight.detach().square().mean().sqrt()
        return weight + self._strength * size * torch.randn_like(weight)
