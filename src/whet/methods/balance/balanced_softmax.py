from __future__ import annotations

from typing import Any

from whet.core.batch import Context, Loss
from whet.core.method import Method
from whet.core.stages import WrapsLoss
from whet.methods.balance.prior import log_prior, shifted


class BalancedSoftmax(
    Method, WrapsLoss, family="balance", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Train with logits that are increased by the logarithm of the class size, so that inference assumes balanced classes.

    Use when: classes are imbalanced in training and equally important at inference.
    Do not use when: classes at inference are as imbalanced as in training and accuracy is the metric. It replaces
    label_smoothing, as logit_adjustment does.
    Source: Ren et al. 2020, arXiv:2007.10740.
    Deviates: without the paper's meta sampler. It equals logit_adjustment with tau = 1.
    Shapes: logits (B, K) + log n (K,) inside the loss. Inference uses the logits without this shift. The loss is linear in the
    targets.
    """

    one_class = True
    identity = None
    exceptions = {"identity": "it has no strength; logit_adjustment has one and equals this method at tau = 1"}
    order = 8
    conflicts = frozenset({"balanced_sampler", "class_weight", "label_smoothing", "ldam_drw", "logit_adjustment"})

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        return shifted(loss, log_prior(context.class_counts_K))
