from __future__ import annotations

from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils import parametrize

from whet.core.batch import Context
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Changes, Initialises
from whet.methods.transfer.matrices import matrix_layers
from whet.models.net import Net


class Mixout(
    Method,
    Changes,
    Initialises,
    family="transfer",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """At every step, reset random weights to their pretrained values and scale up the change of the others to compensate.

    Use when: the result of fine-tuning a large network on few samples depends strongly on the seed.
    Do not use when: training from scratch, where the initial values are random.
    Source: Lee, Cho, Kang 2020, arXiv:1909.11299.
    Deviates: applies to the weights of the backbone's linear layers and ungrouped convolutions, not to biases, norms and the
    head.
    Shapes: weight -> start + dropout(weight - start), whose mean is the weight itself. The mask depends only on (seed, step).
    """

    identity = {"prob": 0.0}
    order = 20
    conflicts = frozenset({"linear_probe", "bitfit", "lora", "adapter"})

    prob: Annotated[
        float, Field(ge=0, lt=1, description="fraction of the weights that are reset"), Search(0.1, 0.9)
    ] = 0.7

    def change(self, net: Net, context: Context) -> Net:
        if self.prob == 0:
            return net
        for layer in matrix_layers(net):
            # `unsafe` skips torch's trial call, which would draw a random mask.
            parametrize.register_parametrization(layer, "weight", Mixed(layer.weight, self.prob), unsafe=True)
        return net

    @torch.no_grad()
    def initialise(self, net: Net, context: Context) -> None:
        """Take the current weights as the start: earlier methods (from_run, masked_language_model) may have replaced them."""
        for layer in net.backbone.modules():
            if parametrize.is_parametrized(layer, "weight"):
                chain: Any = layer.parametrizations["weight"]  # type: ignore[index]
                for mixed in (part for part in chain if isinstance(part, Mixed)):
                    mixed.start.copy_(chain.original)


class Mixed(nn.Module):
    """weight -> (mask * start + (1 - mask) * weight - prob * start) / (1 - prob), which equals start + dropout(weight - start)."""

    start: Tensor

    def __init__(self, weight: Tensor, prob: float) -> None:
        super().__init__()
        self.prob = prob
        self.register_buffer("start", weight.detach().clone())

    def forward(self, weight: Tensor) -> Tensor:
        return self.start + F.dropout(weight - self.start, self.prob) if self.training else weight
