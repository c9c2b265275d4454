from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor

from whet.core.batch import Context, Loss, Outcome
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import WrapsLoss

_LOG_ZERO = math.log(1e-4)  # used as the logarithm of a target of zero


class SymmetricCrossEntropy(
    Method, WrapsLoss, family="balance", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Add the reverse cross-entropy, with target and prediction exchanged, which is bounded for wrong labels.

    Use when: a considerable fraction of the labels is wrong, and it is unknown which.
    Do not use when: labels are correct. It cannot be combined with label_smoothing, because its optimum for a smoothed target is
    nearly a probability of one.
    Source: Wang et al. 2019, arXiv:1908.06112; the logarithm of zero is that of 1e-4, as in the authors' code.
    Deviates: the loss of a soft target is the weighted mean of the losses of its classes, which keeps the loss linear in the
    targets.
    Shapes: alpha * loss (B,) + beta * -log(1e-4) * (1 - sum of target * p) (B,); label by label if samples may have several
    labels.
    """

    identity = {"alpha": 1.0, "beta": 0.0}
    order = 0
    conflicts = frozenset({"asymmetric", "focal", "generalized_cross_entropy", "label_smoothing", "ldam_drw"})

    alpha: Annotated[
        float,
        Field(ge=0, description="factor on cross-entropy; the paper uses 6 for 100 classes"),
        Search(0.01, 6.0, log=True),
    ] = 0.1
    beta: Annotated[
        float, Field(ge=0, description="factor on the reverse cross-entropy"), Search(0.1, 2.0, log=True)
    ] = 1.0

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        if self.alpha == 1 and self.beta == 0:
            return loss

        def symmetric(outcome: Outcome) -> Tensor:
            return self.alpha * loss(outcome) + self.beta * _reverse(outcome)

        return symmetric


def _reverse(outcome: Outcome) -> Tensor:
    """-sum p log target, (B,)."""
    targets = outcome.batch.targets
    p = targets.task.log_probs(outcome.logits_BK).exp()
    return -_LOG_ZERO * (targets.task.outcomes(targets) * (1 - p)).flatten(1).sum(dim=1)
