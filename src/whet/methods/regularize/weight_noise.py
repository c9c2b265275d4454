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
    Method,
    Changes,
    family="regularize",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Add Gaussian noise to the weights of the backbone in every training pass. The stored weights are without noise.

    Use when: the training score is much higher than the validation score, above all in recurrent and small networks.
    Do not use when: the model underfits, or awp or sam are in the recipe, which use worst-case perturbations.
    Source: Murray & Edwards 1994; Graves 2011, "Practical variational inference for neural networks".
    Deviates: the noise is relative to the root mean square of each weight tensor instead of one size for all. Biases and norms
    get no noise.
    Shapes: w -> w + strength * rms(w) * N(0, 1). The noise depends only on (seed, step).
    """

    identity = {"strength": 0.0}
    order = 40
    conflicts = frozenset({"linear_probe"})

    strength: Annotated[
        float,
        Field(ge=0, description="standard deviation of the noise as a fraction of the weights' root mean square"),
        Search(0.01, 0.5, log=True),
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
