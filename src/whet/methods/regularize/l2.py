from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field

from whet.core.batch import Context, Loss, Outcome
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import WrapsLoss


class L2(
    Method,
    WrapsLoss,
    family="regularize",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Add half the sum of the squared weights to the loss.

    Use when: the optimizer is SGD or L-BFGS and weights grow too large.
    Do not use when: the optimizer is adaptive (Adam and similar), whose steps would scale down the penalty. Use weight_decay
    instead.
    Source: Krogh & Hertz 1991, "A simple weight decay can improve generalization".
    Shapes: loss (B,) + strength / 2 * sum w^2 over the trained weights. Biases and norms are excluded.
    """

    identity = {"strength": 0.0}
    order = 91
    conflicts = frozenset({"elastic_net"})

    strength: Annotated[
        float, Field(ge=0, description="factor on half the sum of squared weights"), Search(1e-6, 1e-2, log=True)
    ] = 1e-4

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        if self.strength == 0:
            return loss
        weights = [p for p in net.parameters() if p.requires_grad and p.ndim > 1]

        def penalized(outcome: Outcome) -> torch.Tensor:
            return loss(outcome) + self.strength / 2 * sum(weight.square().sum() for weight in weights)

        return penalized
