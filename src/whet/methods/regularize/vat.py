from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import torch
from pydantic import Field

from whet.core.batch import Context, Loss, Outcome
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import WrapsLoss
from whet.methods.regularize.divergence import kl_divergence
from whet.methods.regularize.nudge import sized, value_and_gradient, value_where_moved

_FIRST_MOVE = 0.01  # size of the move at which the gradient is taken: at the sample itself it is zero


class VAT(
    Method,
    WrapsLoss,
    family="regularize",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Penalize the change of the prediction when the input moves in the direction that changes it most.

    Use when: labels are few. The perturbation needs no label, only the prediction of the model.
    Do not use when: time is short. Every step takes two forward passes and, for each iteration, one forward and backward pass.
    Source: Miyato et al. 2018, arXiv:1704.03976.
    Deviates: the size of the perturbation is given as a root mean square, so that it is independent of the image size.
    Shapes: loss (B,) + weight * KL(prediction at x || prediction at x + r) (B,), r (B, ...) of norm epsilon * sqrt(values per
    sample). For texts the token embeddings move by epsilon * their own norm.
    """

    identity = {"weight": 0.0}
    order = 76

    epsilon: Annotated[
        float,
        Field(gt=0, description="root mean square of the perturbation, in units of the normalized input"),
        Search(0.01, 0.5, log=True),
    ] = 0.1
    weight: Annotated[float, Field(ge=0, description="factor on the divergence"), Search(0.1, 5.0, log=True)] = 1.0
    iterations: Annotated[
        int,
        Field(ge=1, le=10, description="power iterations to find the direction of the largest change"),
        Search(choices=(1, 2, 4)),
    ] = 1

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        if self.weight == 0:
            return loss

        def smooth(outcome: Outcome) -> torch.Tensor:
            clean_BK, task = outcome.logits_BK.detach(), outcome.batch.targets.task

            def divergence(moved: Outcome) -> torch.Tensor:
                return kl_divergence(clean_BK, moved.logits_BK, task)

            _, gradient = value_and_gradient(outcome, divergence, _random_move)
            for _ in range(self.iterations - 1):
                _, gradient = value_and_gradient(outcome, divergence, partial(_move_along, gradient))
            shift = sized(gradient, self.epsilon)
            return loss(outcome) + self.weight * value_where_moved(outcome, divergence, lambda hidden: hidden + shift)

        return smooth


def _random_move(hidden: torch.Tensor) -> torch.Tensor:
    return sized(torch.randn_like(hidden), _FIRST_MOVE)


def _move_along(direction: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
    return sized(direction, _FIRST_MOVE)
