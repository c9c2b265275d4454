from __future__ import annotations

from typing import Any

from whet.core.batch import Context, Loss
from whet.core.method import Method
from whet.core.stages import WrapsLoss
from whet.methods.balance.prior import log_prior, shifted


class BalancedSoftmax(
    Method, WrapsLoss, family="balance", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Learn logits that hold for even classes: while training, each is raised by the logarithm of its class's size.

    Use when: classes are uneven in training and matter alike in use.
    Do not use when: the classes in use are as uneven as in training and plain accuracy is what counts. It takes the place of
    label_smoothing, as logit_adjustment does.
    Source: Ren et al. 2020, arXiv:2007.10740.
    Deviates: without the paper's meta sampler. It is logit_adjustment with tau = 1.
    Shapes: logits (B, K) + log n (K,) inside the loss; prediction uses the logits as they are. Keeps linearity in the targets.
    """

    one_class = True
    identity = None
    exceptions = {"identity": "it has no strength; logit_adjustment has, and is this at tau = 1"}
    order = 8
    conflicts = frozenset({"balanced_sampler", "class_weight", "label_smoothing", "ldam_drw", "logit_adjustment"})

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        return shifted(loss, log_prior(context.class_counts_K))
