from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field

from whet.core.batch import Context, Loss, Outcome
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import WrapsLoss


class LabelSmoothing(
    Method,
    WrapsLoss,
    family="regularize",
    tasks={"image-classification", "text-classification", "audio-classification", "semantic-segmentation"},
):
    """Spread a fraction of each target evenly over all classes.

    Use when: the model is overconfident, or some labels are wrong.
    Do not use when: the model will be the teacher in a distillation, which label smoothing harms.
    Source: Szegedy et al. 2016, arXiv:1512.00567.
    Shapes: targets (B, K) -> (1 - epsilon) targets + epsilon / K; for masks, those of every pixel.
    """

    identity = {"epsilon": 0.0}
    order = 10

    epsilon: Annotated[
        float,
        Field(ge=0, lt=1, description="fraction of the target that is spread over all classes"),
        Search(0.02, 0.3),
    ] = 0.1

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        if self.epsilon == 0:
            return loss

        def smoothed(outcome: Outcome) -> torch.Tensor:
            return loss(outcome.with_targets(outcome.batch.targets.smooth(self.epsilon)))

        return smoothed
