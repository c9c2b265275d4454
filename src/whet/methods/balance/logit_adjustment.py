from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from whet.core.batch import Context, Loss
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import WrapsLoss
from whet.methods.balance.prior import log_prior, shifted


class LogitAdjustment(
    Method, WrapsLoss, family="balance", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Train with logits that are increased by tau times the log class frequency, which gives rare classes a larger margin.

    Use when: classes are imbalanced and the mean over classes is the metric. At tau = 1 predictions are optimal for balanced
    classes.
    Do not use when: classes at inference are as imbalanced as in training and accuracy is the metric. It replaces
    label_smoothing, whose targets for rare classes it would increase.
    Source: Menon et al. 2021, arXiv:2007.07314 (the loss of section 5.2).
    Shapes: logits (B, K) + tau log frequency (K,) inside the loss. Inference uses the logits without this shift. The loss is
    linear in the targets.
    """

    one_class = True
    identity = {"tau": 0.0}
    order = 8
    # A smoothed target of a rare class can exceed its frequency. The adjustment increases it too: the class would win everywhere.
    conflicts = frozenset({"balanced_sampler", "balanced_softmax", "class_weight", "label_smoothing", "ldam_drw"})

    tau: Annotated[
        float, Field(ge=0, description="0 is no correction, 1 corrects to balanced classes"), Search(0.25, 2.0)
    ] = 1.0

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        return shifted(loss, self.tau * log_prior(context.class_counts_K)) if self.tau > 0 else loss
