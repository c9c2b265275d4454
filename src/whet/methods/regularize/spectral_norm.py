from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from whet.core.batch import Context
from whet.core.errors import NoEffectError
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Changes, Initialises
from whet.models.net import Net

_FIRST_ITERATIONS = 15  # as many as torch uses for a new weight


class SpectralNorm(
    Method,
    Changes,
    Initialises,
    family="regularize",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Divide every weight of the backbone by its largest singular value, which bounds the Lipschitz constant of each layer.

    Use when: the prediction must not change abruptly with small changes of the input; networks without BatchNorm, from scratch.
    Do not use when: fine-tuning, or BatchNorm follows every layer, whose scale cancels the bound.
    Source: Miyato et al. 2018, arXiv:1802.05957. Uses the estimate of torch.nn.utils.parametrizations.spectral_norm.
    Deviates: the last layer is not normalized, because logits must be able to grow (Liu et al. 2020, arXiv:2006.10108).
    Shapes: a weight (out, ...) is treated as a matrix (out, the rest). The saved model holds the normalized weights.
    """

    identity = None
    exceptions = {"identity": "the largest singular value of an untouched weight is not one"}
    order = 30
    conflicts = frozenset({"linear_probe"})

    iterations: Annotated[
        int, Field(ge=1, le=20, description="power iterations per forward pass"), Search(choices=(1, 2, 5))
    ] = 1

    def change(self, net: Net, context: Context) -> Net:
        layers = [m for m in net.backbone.modules() if isinstance(m, nn.Linear | nn.modules.conv._ConvNd)]
        if not layers:
            raise NoEffectError("the backbone has no convolution or linear layer")
        for layer in layers:
            parametrizations.spectral_norm(layer, n_power_iterations=self.iterations)
        return net

    @torch.no_grad()
    def initialise(self, net: Net, context: Context) -> None:
        """Estimate the singular values of the current weights, because earlier methods may have replaced the weights."""
        for layer in net.backbone.modules():
            if parametrize.is_parametrized(layer, "weight"):
                chain: Any = layer.parametrizations["weight"]  # type: ignore[index]
                for estimate in (part for part in chain if type(part).__name__ == "_SpectralNorm"):
                    training = estimate.training
                    for _ in range(_FIRST_ITERATIONS):
                        estimate.train()(chain.original)
                    estimate.train(training)
