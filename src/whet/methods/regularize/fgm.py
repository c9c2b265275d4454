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
    """Train on every sample and on an adversarial copy of it, moved a little in the direction that increases its loss most.

    Use when: there are few texts (the usual case), or small changes of an image change the prediction.
    Do not use when: time is short, because every step takes three forward passes; or only the accuracy on clean images matters.
    Source: Miyato, Dai, Goodfellow 2017, arXiv:1605.07725; for images Goodfellow et al. 2015, arXiv:1412.6572.
    Deviates: the size of the perturbation is given as a root mean square, so that it is independent of the image size. For texts
    it is relative to the token embeddings; the paper normalizes the embeddings instead.
    Shapes: x (B, ...) moves by epsilon * sqrt(values per sample) * g / |g|. For texts the token embeddings move by epsilon *
    their own norm. Loss (B,) + weight * loss of the perturbed samples (B,).
    """

    identity = {"weight": 0.0}
    order = 75

    epsilon: Annotated[
        float,
        Field(gt=0, description="root mean square of the perturbation, in units of the normalized input"),
        Search(0.003, 0.3, log=True),
    ] = 0.03
    weight: Annotated[
        float, Field(ge=0, description="factor on the loss of the perturbed samples"), Search(0.2, 2.0)
    ] = 1.0

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        if self.weight == 0:
            return loss

        def adversarial(outcome: Outcome) -> torch.Tensor:
            _, gradient = value_and_gradient(outcome, loss)
            shift = sized(gradient, self.epsilon)
            return loss(outcome) + self.weight * value_where_moved(outcome, loss, lambda hidden: hidden + shift)

        return adversarial
