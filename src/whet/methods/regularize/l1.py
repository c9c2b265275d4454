from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field

from whet.core.batch import Context, Loss, Outcome
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import WrapsLoss


class L1(
    Method,
    WrapsLoss,
    family="regularize",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Add the sum of the absolute weights to the loss, which sets small weights to zero.

    Use when: many features carry no information, or few non-zero weights are desired.
    Do not use when: features are few and all are relevant.
    Source: Tibshirani 1996, "Regression shrinkage and selection via the lasso".
    Shapes: loss (B,) + strength * sum |w| over the trained weights. Biases and norms are excluded.
    """

    identity = {"strength": 0.0}
    order = 90
    conflicts = frozenset({"elastic_net"})

    strength: Annotated[
        float, Field(ge=0, description="factor on the sum of absolute weights"), Search(1e-7, 1e-3, log=True)
    ] = 1e-5

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        if self.strength == 0:
            return loss
        weights = [p for p in net.parameters() if p.requires_grad and p.ndim > 1]

        def penalized(outcome: Outcome) -> torch.Tensor:
            return loss(outcome) + self.strength * sum(weight.abs().sum() for weight in weights)

        return penalized
