from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import nn

from whet.core.batch import Context, Loss, Outcome
from whet.core.errors import NoEffectError
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import WrapsLoss
from whet.methods.regularize.divergence import kl_divergence


class RDrop(
    Method,
    WrapsLoss,
    family="regularize",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Predict every batch twice with different dropout masks and penalize the divergence of the two predictions.

    Use when: the model has dropout and fine-tuning overfits, above all with transformers.
    Do not use when: time is short, because every step takes two forward passes; or the model has no dropout and the recipe adds
    none.
    Source: Liang et al. 2021, arXiv:2106.14448.
    Deviates: the mean of the two losses instead of their sum, as in the authors' code, so that the learning rate keeps its
    meaning.
    Shapes: (loss_1 + loss_2) / 2 + alpha * (KL(p_1 || p_2) + KL(p_2 || p_1)) / 2, each (B,).
    """

    identity = {"alpha": 0.0}
    order = 72

    alpha: Annotated[
        float, Field(ge=0, description="factor on the divergence of the two predictions"), Search(0.1, 5.0, log=True)
    ] = 1.0

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        if self.alpha == 0:
            return loss
        drops = [m for m in net.modules() if isinstance(m, nn.modules.dropout._DropoutNd) and m.p > 0]
        if not drops:
            raise NoEffectError(
                "the model has no dropout, so both predictions are the same; add dropout or stochastic_depth"
            )

        def consistent(outcome: Outcome) -> torch.Tensor:
            first_BK, second_BK = outcome.logits_BK, outcome.forward(outcome.batch.x)
            task = outcome.batch.targets.task
            forward_B = kl_divergence(first_BK, second_BK, task)
            backward_B = kl_divergence(second_BK, first_BK, task)
            both_B = (loss(outcome) + loss(replace(outcome, logits_BK=second_BK))) / 2
            return both_B + self.alpha * (forward_B + backward_B) / 2

        return consistent
