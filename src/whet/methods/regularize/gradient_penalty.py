from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch.nn.attention import SDPBackend, sdpa_kernel

from whet.core.batch import Context, Loss, Outcome
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import WrapsLoss
from whet.methods.regularize.nudge import value_and_gradient


class GradientPenalty(
    Method,
    WrapsLoss,
    family="regularize",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Add the squared gradient of each sample's loss by its input, so that the loss changes little when the input does.

    Use when: small changes of the input flip the answer, and answers should be explainable by their gradients.
    Do not use when: time is short: the gradient is itself differentiated, so a step takes about three times as long.
    Source: Drucker & LeCun 1992, "Improving generalization performance using double backpropagation"; Ross & Doshi-Velez 2018,
    arXiv:1711.09404.
    Shapes: loss (B,) + strength * sum (d loss / d x)^2 (B,); of a text, by the vectors of its tokens
    in units of their root mean square.
    """

    identity = {"strength": 0.0}
    order = 78

    strength: Annotated[
        float, Field(ge=0, description="factor on the squared length of the gradient"), Search(1e-3, 10.0, log=True)
    ] = 0.1

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        if self.strength == 0:
            return loss

        def penalised(outcome: Outcome) -> torch.Tensor:
            with sdpa_kernel(SDPBackend.MATH):  # the fast kernels of attention cannot be differentiated twice
                loss_B, gradient = value_and_gradient(outcome, loss, create_graph=True)
            return loss_B + self.strength * gradient.flatten(1).square().sum(dim=1)

        return penalised
