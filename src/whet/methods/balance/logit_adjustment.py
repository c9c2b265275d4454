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
    """Ask for a larger lead of rare classes over common ones: while training, logits are raised by tau times the log of the
    class's share.

    Use when: classes are uneven and the mean over classes counts; at tau = 1 the answer is the best one for even classes.
    Do not use when: the classes in use are as uneven as in training and plain accuracy is what counts. It takes the place of
    label_smoothing, which would be raised with the rare classes.
    Source: Menon et al. 2021, arXiv:2007.07314 (the loss of section 5.2).
    Shapes: logits (B, K) + tau log share (K,) inside the loss; prediction uses the logits as they are. Keeps linearity in the
    targets.
    """

    one_class = True
    identity = {"tau": 0.0}
    order = 8
    # What smoothing gives a rare class can be more than its share, and is then raised as the share is: it would win everywhere.
    conflicts = frozenset({"balanced_sampler", "balanced_softmax", "class_weight", "label_smoothing", "ldam_drw"})

    tau: Annotated[float, Field(ge=0, description="0 no correction, 1 the classes count alike"), Search(0.25, 2.0)] = (
        1.0
    )

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        return shifted(loss, self.tau * log_prior(context.class_counts_K)) if self.tau > 0 else loss
