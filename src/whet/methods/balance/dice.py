from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from pydantic import Field

from whet.core.batch import Context, Loss
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import WrapsLoss
from whet.methods.balance.regions import combined
from whet.methods.balance.tversky import tversky_loss


class Dice(Method, WrapsLoss, family="balance", tasks={"semantic-segmentation"}):
    """Maximise the overlap of each class with its target: the Dice coefficient of the probabilities.

    Use when: some classes cover few pixels, and the metric is IoU or Dice.
    Do not use when: probabilities must be calibrated, or images have few labelled pixels.
    Source: Milletari, Navab, Ahmadi 2016, arXiv:1606.04797 (V-Net).
    Deviates: the denominator has sums, not sums of squares; the mean over the classes that occur in the mask of an image; mixed
    with cross-entropy.
    Shapes: (1 - weight) * loss (B,) + weight * mean over classes of 1 - 2 sum(p t) / (sum(p) + sum(t)) (B,), sums over the pixels
    that are not ignored.
    """

    identity = {"weight": 0.0}
    order = 20

    weight: Annotated[float, Field(ge=0, le=1, description="share of this loss in the total"), Search(0.2, 1.0)] = 0.5

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        if self.weight == 0:
            return loss
        return combined(loss, partial(tversky_loss, alpha=0.5, beta=0.5), self.weight)
