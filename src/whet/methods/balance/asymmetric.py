from __future__ import annotations

import math
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from whet.core.batch import Context, Loss, Outcome
from whet.core.errors import NoEffectError
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import WrapsLoss


class Asymmetric(
    Method, WrapsLoss, family="balance", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Reduce the loss of the many absent labels of a sample, and ignore those with a probability below a margin.

    Use when: samples may have several labels, and each has few out of many.
    Do not use when: every sample has exactly one class; the method then has no effect. It cannot be combined with
    label_smoothing, because the smoothed target of an absent label has a much larger loss than its absence; at epsilon 0.1 the
    optimum is 0.42, not 0.05.
    Source: Ridnik et al. 2021, arXiv:2009.14119.
    Deviates: replaces binary cross-entropy and, like it, sums over the labels.
    Shapes: logits, targets (B, K) -> sum over labels of t (1 - p)^positive * -log p + (1 - t) q^negative * -log(1 - q) (B,) with
    q = max(p - margin, 0), linear in the targets.
    """

    identity = {"positive": 0.0, "negative": 0.0, "margin": 0.0}
    order = 0
    conflicts = frozenset(
        {"focal", "generalized_cross_entropy", "label_smoothing", "ldam_drw", "symmetric_cross_entropy"}
    )

    positive: Annotated[
        float, Field(ge=0, description="focusing exponent for labels that are present"), Search(0.0, 2.0)
    ] = 0.0
    negative: Annotated[
        float, Field(ge=0, description="focusing exponent for labels that are absent"), Search(1.0, 6.0)
    ] = 4.0
    margin: Annotated[
        float,
        Field(ge=0, lt=1, description="an absent label has no loss below this probability"),
        Search(0.0, 0.2),
    ] = 0.05

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        if self.positive == self.negative == self.margin == 0:
            return loss
        if context.task.exclusive:
            raise NoEffectError("every sample has exactly one class")
        return self._asymmetric

    def _asymmetric(self, outcome: Outcome) -> Tensor:
        z_BK, t_BK = outcome.logits_BK, outcome.batch.targets.probs_BK
        log_yes_BK, log_no_BK = F.logsigmoid(z_BK), F.logsigmoid(-z_BK)
        log_margin = z_BK.new_tensor(math.log(self.margin) if self.margin else -torch.inf)
        log_not_q_BK = torch.logaddexp(log_no_BK, log_margin).clamp(max=0)  # log(1 - q)
        q_BK = -torch.expm1(log_not_q_BK)
        # If q is zero, the loss is zero, and the power would have no finite gradient.
        focus_BK = torch.where(q_BK > 0, q_BK, 1.0) ** self.negative
        yes_BK = torch.exp(self.positive * log_no_BK) * log_yes_BK
        return -(t_BK * yes_BK + (1 - t_BK) * focus_BK * log_not_q_BK).sum(dim=1)
