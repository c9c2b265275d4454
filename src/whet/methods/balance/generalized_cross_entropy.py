from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from whet.core.batch import Context, Loss, Outcome
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import WrapsLoss


class GeneralizedCrossEntropy(
    Method, WrapsLoss, family="balance", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """A bounded loss between cross-entropy and mean absolute error, on which wrong labels have less influence.

    Use when: a considerable fraction of the labels is wrong, and it is unknown which.
    Do not use when: labels are correct; or training is short, because hard samples are learned late. It cannot be combined with
    label_smoothing, because its optimum for a smoothed target is a probability of one.
    Source: Zhang & Sabuncu 2018, arXiv:1805.07836.
    Deviates: without the paper's truncated form, which drops samples. Replaces cross-entropy.
    Shapes: logits, soft targets (B, K) -> sum over classes of target * (1 - p^q) / q (B,), linear in the targets; label by label
    if samples may have several labels.
    """

    identity = {"q": 0.0}
    order = 0
    conflicts = frozenset({"asymmetric", "focal", "label_smoothing", "ldam_drw", "symmetric_cross_entropy"})

    q: Annotated[
        float, Field(ge=0, le=1, description="0 is cross-entropy, 1 is the mean absolute error"), Search(0.1, 1.0)
    ] = 0.7

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        return self._bounded if self.q > 0 else loss

    def _bounded(self, outcome: Outcome) -> Tensor:
        z_BK, targets = outcome.logits_BK, outcome.batch.targets
        return (targets.task.outcomes(targets) * self._cost(targets.task.log_probs(z_BK))).flatten(1).sum(dim=1)

    def _cost(self, log_p: Tensor) -> Tensor:
        return -torch.expm1(self.q * log_p) / self.q
