from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field

from whet.core.batch import Context, Loss, Outcome
from whet.core.duration import Duration
from whet.core.errors import NoEffectError
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import WrapsLoss
from whet.methods.balance.class_weight import class_weights


class LdamDrw(
    Method, WrapsLoss, family="balance", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Require a larger margin for rarer classes, and give rare classes larger weights towards the end of training.

    Use when: classes are very imbalanced and the rare ones are equally important.
    Do not use when: training is a few epochs, too short for its two phases. It cannot be combined with label_smoothing, because
    the smoothed targets of rare classes would be weighted up like their samples.
    Source: Cao et al. 2019, arXiv:1906.07413 (label-distribution-aware margins with deferred re-weighting).
    Deviates: the margin is subtracted from plain logits, so it is in units of logits; the paper scales cosines by 30 and
    subtracts at most 0.5 of that. The weights have mean 1 over the training samples. Replaces cross-entropy.
    Shapes: logits, soft targets (B, K) -> sum over classes of target * weight * cross-entropy with the logit of that class
    reduced by its margin (B,), linear in the targets. The margin of a class with n samples is proportional to n^(-1/4).
    """

    one_class = True
    identity = {"max_margin": 0.0, "defer": "1dur"}
    order = 0
    conflicts = frozenset(
        {"asymmetric", "balanced_sampler", "balanced_softmax", "class_weight", "focal"}
        | {"generalized_cross_entropy", "label_smoothing", "logit_adjustment", "symmetric_cross_entropy"}
    )

    max_margin: Annotated[
        float,
        Field(ge=0, le=15, description="margin of the rarest class, in units of logits"),
        Search(0.5, 8.0, log=True),
    ] = 4.0
    defer: Annotated[Duration, Field(description="time at which the class weights start; 1dur is never")] = Duration(
        0.8, "dur"
    )
    beta: Annotated[
        float,
        Field(gt=0, lt=1, description="beta of the effective number of samples, as in class_weight"),
        Search(choices=(0.99, 0.999, 0.9999)),
    ] = 0.9999

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        if self.max_margin == 0 and self.defer == Duration(1, "dur"):
            return loss
        counts_K = context.class_counts_K
        if len(set(counts_K.tolist())) == 1:
            raise NoEffectError("every class has the same number of training samples")
        raw_K = np.maximum(counts_K, 1) ** -0.25
        margin_K = torch.from_numpy(self.max_margin * raw_K / raw_K.max())
        weight_K = torch.from_numpy(class_weights(counts_K, "effective_number", self.beta))

        def with_margin(outcome: Outcome) -> torch.Tensor:
            z_BK = outcome.logits_BK
            margin, weight = margin_K.to(z_BK), weight_K.to(z_BK)
            log_p_BK = F.log_softmax(z_BK, dim=1)
            loss_BK = margin - log_p_BK + torch.logaddexp(context.task.log_others(z_BK), log_p_BK - margin)
            if outcome.progress.step >= outcome.progress.steps(self.defer):
                loss_BK = loss_BK * weight
            return (outcome.batch.targets.probs_BK * loss_BK).sum(dim=1)

        return with_margin
