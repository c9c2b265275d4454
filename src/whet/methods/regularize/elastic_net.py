from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field

from whet.core.batch import Context, Loss, Outcome
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import WrapsLoss


class ElasticNet(
    Method,
    WrapsLoss,
    family="regularize",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Add the absolute and the squared weights to the loss, for sparse weights that are shared among correlated features.

    Use when: few non-zero weights are desired and features are correlated. l1 alone keeps one of them at random.
    Do not use when: the optimizer is adaptive (Adam and similar). Its steps change the ratio of the two penalties.
    Source: Zou & Hastie 2005, "Regularization and variable selection via the elastic net".
    Deviates: strength and ratio as in scikit-learn, instead of one factor per term.
    Shapes: loss (B,) + strength * (ratio * sum |w| + (1 - ratio) / 2 * sum w^2). Biases and norms are excluded.
    """

    identity = {"strength": 0.0}
    order = 92
    conflicts = frozenset({"l1", "l2"})

    strength: Annotated[float, Field(ge=0, description="factor on the whole penalty"), Search(1e-7, 1e-3, log=True)] = (
        1e-5
    )
    ratio: Annotated[
        float, Field(ge=0, le=1, description="fraction of the absolute penalty: 1 is l1, 0 is l2"), Search(0.05, 0.95)
    ] = 0.5

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        if self.strength == 0:
            return loss
        weights = [p for p in net.parameters() if p.requires_grad and p.ndim > 1]

        def penalized(outcome: Outcome) -> torch.Tensor:
            absolute = sum(weight.abs().sum() for weight in weights)
            squared = sum(weight.square().sum() for weight in weights)
            return loss(outcome) + self.strength * (self.ratio * absolute + (1 - self.ratio) / 2 * squared)

        return penalized
