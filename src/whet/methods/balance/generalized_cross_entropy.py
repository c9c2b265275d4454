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
    """Bound what one sample can cost, so that wrong labels pull less: between cross-entropy and mean absolute error.

    Use when: a good share of the labels is wrong, and which is unknown.
    Do not use when: labels are clean, or training is short: it learns hard samples late. It does not stand with label_smoothing,
    which it would undo: its optimum for a smoothed target is certainty.
    Source: Zhang & Sabuncu 2018, arXiv:1805.07836.
    Deviates: without the paper's truncated form, which drops samples. Stands in the place of cross-entropy.
    Shapes: logits, soft targets (B, K) -> sum over classes of target * (1 - p^q) / q (B,), linear in the targets; label by label
    where several may be true.
    """

    identity = {"q": 0.0}
    order = 0
    conflicts = frozenset({"asymmetric", "focal", "label_smoothing", "ldam_drw", "symmetric_cross_entropy"})

    q: Annotated[
        float, Field(ge=0, le=1, description="0 is cross-entropy, 1 the mean absolute error"), Search(0.1, 1.0)
    ] = 0.7

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        return self._bounded if self.q > 0 else loss

    def _bounded(self, outcome: Outcome) -> Tensor:
        z_BK, targets = outcome.logits_BK, outcome.batch.targets
        return (targets.task.outcomes(targets) * self._cost(targets.task.log_probs(z_BK))).flatten(1).sum(dim=1)

    def _cost(self, log_p: Tensor) -> Tensor:
        return -torch.expm1(self.q * log_p) / self.q
