from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field

from whet.core.batch import Context, Loss, Outcome
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import WrapsLoss
from whet.methods.regularize.nudge import sized, value_and_gradient, value_where_moved


class FGM(
    Method,
    WrapsLoss,
    family="regularize",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Train on every sample and on the same sample moved a little in the direction that raises its loss most.

    Use when: texts are few, the classic case; or small changes of an image flip the answer.
    Do not use when: time is short: every step costs three forward passes; precision on clean images is all that counts.
    Source: Miyato, Dai, Goodfellow 2017, arXiv:1605.07725; for images Goodfellow et al. 2015, arXiv:1412.6572.
    Deviates: the length of the move is given as a root mean square, so that it means the same at every size of image; of texts it
    is relative to the vectors, where the paper normalises these.
    Shapes: x (B, ...) moves by epsilon * sqrt(numbers a sample) * g / |g|; of a text the vectors of its tokens move, by epsilon *
    their own length. Loss (B,) + weight * loss of the moved (B,).
    """

    identity = {"weight": 0.0}
    order = 75

    epsilon: Annotated[
        float,
        Field(gt=0, description="root mean square of the move, in units of the normalised input"),
        Search(0.003, 0.3, log=True),
    ] = 0.03
    weight: Annotated[float, Field(ge=0, description="factor on the loss of the moved samples"), Search(0.2, 2.0)] = 1.0

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        if self.weight == 0:
            return loss

        def hardened(outcome: Outcome) -> torch.Tensor:
            _, gradient = value_and_gradient(outcome, loss)
            shift = sized(gradient, self.epsilon)
            return loss(outcome) + self.weight * value_where_moved(outcome, loss, lambda hidden: hidden + shift)

        return hardened
