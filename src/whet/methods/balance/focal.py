from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from whet.core.batch import Context, Loss, Outcome
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import WrapsLoss


class Focal(
    Method,
    WrapsLoss,
    family="balance",
    tasks={"image-classification", "text-classification", "audio-classification", "semantic-segmentation"},
):
    """Reduce the loss of easy samples or pixels: cross-entropy times (1 - p)^gamma, where p is the probability of the target class.

    Use when: most samples are easy and belong to common classes, and dominate the loss of the hard and rare ones.
    Do not use when: some labels are wrong, because mislabeled samples are hard and get the largest weight. It cannot be combined
    with label_smoothing, whose targets for the other classes are hard and would get the largest weight: at epsilon 0.1 the
    optimum for six classes is 0.69, not 0.92.
    Source: Lin et al. 2017, arXiv:1708.02002.
    Deviates: without the paper's class weights, for which there is class_weight. If samples have one class, the classes share one
    softmax. Replaces cross-entropy.
    Shapes: logits, soft targets (B, K) -> sum over classes of target * (1 - p)^gamma * -log p (B,), linear in the targets. For
    masks, the mean of this over the pixels.
    """

    identity = {"gamma": 0.0}
    order = 0
    conflicts = frozenset(
        {"asymmetric", "generalized_cross_entropy", "label_smoothing", "ldam_drw", "symmetric_cross_entropy"}
    )

    gamma: Annotated[
        float,
        Field(ge=0, description="focusing exponent; larger values reduce the weight of easy samples more"),
        Search(0.5, 5.0),
    ] = 2.0

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        return self._focal if self.gamma > 0 else loss

    def _focal(self, outcome: Outcome) -> Tensor:
        targets = outcome.batch.targets
        z = targets.aligned(outcome.logits_BK)
        focus = torch.exp(self.gamma * targets.task.log_others(z))
        return targets.expected(-focus * targets.task.log_probs(z))
