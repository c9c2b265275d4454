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
    """Add the squared gradient of each sample's loss with respect to its input, so that small changes of the input matter less.

    Use when: small changes of the input change the prediction, or gradients should explain the predictions.
    Do not use when: time is short. The gradient is itself differentiated, so a step takes about three times as long.
    Source: Drucker & LeCun 1992, "Improving generalization performance using double backpropagation"; Ross & Doshi-Velez 2018,
    arXiv:1711.09404.
    Shapes: loss (B,) + strength * sum (d loss / d x)^2 (B,). For texts the gradient is taken with respect to the token
    embeddings, in units of their root mean square.
    """

    identity = {"strength": 0.0}
    order = 78

    strength: Annotated[
        float, Field(ge=0, description="factor on the squared norm of the gradient"), Search(1e-3, 10.0, log=True)
    ] = 0.1

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        if self.strength == 0:
            return loss

        def penalized(outcome: Outcome) -> torch.Tensor:
            with sdpa_kernel(SDPBackend.MATH):  # the fast attention kernels cannot be differentiated twice
                loss_B, gradient = value_and_gradient(outcome, loss, create_graph=True)
            return loss_B + self.strength * gradient.flatten(1).square().sum(dim=1)

        return penalized
