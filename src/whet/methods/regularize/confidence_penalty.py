from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field

from whet.core.batch import Context, Loss, Outcome
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import WrapsLoss
from whet.methods.regularize.divergence import entropy


class ConfidencePenalty(
    Method,
    WrapsLoss,
    family="regularize",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Subtract a multiple of the entropy of the predicted probabilities from the loss.

    Use when: the model is overconfident.
    Do not use when: label_smoothing is already in the recipe. Both have nearly the same effect.
    Source: Pereyra et al. 2017, arXiv:1701.06548.
    Shapes: loss (B,) - strength * entropy (B,) of the prediction; with several labels, the sum of their entropies.
    """

    identity = {"strength": 0.0}
    order = 70

    strength: Annotated[float, Field(ge=0, description="factor on the entropy"), Search(0.01, 1.0, log=True)] = 0.1

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        if self.strength == 0:
            return loss

        def penalized(outcome: Outcome) -> torch.Tensor:
            entropy_B = entropy(outcome.logits_BK, outcome.batch.targets.task)
            return loss(outcome) - self.strength * entropy_B

        return penalized
