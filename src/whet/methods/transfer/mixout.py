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
    """At every step put random weights back to their pretrained values, and stretch the change of the others to make up for it.

    Use when: fine-tuning a large network on few samples ends well with some seeds and badly with others.
    Do not use when: training from scratch, where there is no value to go back to but a random one.
    Source: Lee, Cho, Kang 2020, arXiv:1909.11299.
    Deviates: mixed are the weights of the backbone's linear layers and ungrouped convolutions; not biases, norms and the head.
    Shapes: weight -> start + dropout(weight - start), whose mean is the weight itself; the draw is keyed by (seed, step).
    """

    identity = {"prob": 0.0}
    order = 20
    conflicts = frozenset({"linear_probe", "bitfit", "lora", "adapter"})

    prob: Annotated[float, Field(ge=0, lt=1, description="share of the weights put back"), Search(0.1, 0.9)] = 0.7

    def change(self, net: Net, context: Context) -> Net:
        if self.prob == 0:
            return net
        for layer in matrix_layers(net):
            # `unsafe` leaves out a trial run, which would draw.
            parametrize.register_parametrization(layer, "weight", Mixed(layer.weight, self.prob), unsafe=True)
        return net

    @torch.no_grad()
    def initialise(self, net: Net, context: Context) -> None:
        """Methods before this one (from_run, masked_language_model) may have put other weights there: they are the start."""
        for layer in net.backbone.modules():
            if parametrize.is_parametrized(layer, "weight"):
                chain: Any = layer.parametrizations["weight"]  # type: ignore[index]
                for mixed in (part for part in chain if isinstance(part, Mixed)):
                    mixed.start.copy_(chain.original)


class Mixed(nn.Module):
    """weight -> (mask * start + (1 - mask) * weight - prob * start) / (1 - prob), which is start + dropout(weight - start)."""

    start: Tensor

    def __init__(self, weight: Tensor, prob: float) -> None:
        super().__init__()
        self.prob = prob
        self.register_buffer("start", weight.detach().clone())

    def forward(self, weight: Tensor) -> Tensor:
        return self.start + F.dropout(weight - self.start, self.prob) if self.training else weight
