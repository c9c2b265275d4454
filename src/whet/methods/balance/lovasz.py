from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from whet.core.batch import Context, Loss
from whet.core.masks import IGNORE
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import WrapsLoss
from whet.methods.balance.regions import combined, mean_of_present, of_class


class Lovasz(Method, WrapsLoss, family="balance", tasks={"semantic-segmentation"}):
    """Minimise a convex surrogate of 1 - IoU of each class (the Lovász extension of the Jaccard loss).

    Use when: the metric is mean IoU, towards the end of training or beside cross-entropy.
    Do not use when: steps must be cheap: the errors of all pixels are sorted for every class.
    Source: Berman, Rannen Triki, Blaschko 2018, arXiv:1705.08790 (Lovász-softmax).
    Deviates: by image, over the classes that occur in its mask; mixed with cross-entropy; every second row and column of pixels.
    Shapes: (1 - weight) * loss (B,) + weight * mean over classes of the errors |t - p| of the pixels that are not ignored, sorted,
    times the increments of the Jaccard loss (B,).
    """

    identity = {"weight": 0.0}
    order = 21

    weight: Annotated[float, Field(ge=0, le=1, description="share of this loss in the total"), Search(0.2, 1.0)] = 0.5
    stride: Annotated[int, Field(ge=1, le=8, description="every n-th row and column of pixels is used")] = 2

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        return combined(loss, self._of_regions, self.weight) if self.weight > 0 else loss

    def _of_regions(self, probs_BKHW: Tensor, label_BHW: Tensor) -> Tensor:
        start, step = self.stride // 2, self.stride
        return lovasz_softmax(probs_BKHW[..., start::step, start::step], label_BHW[..., start::step, start::step])


def lovasz_softmax(probs_BKHW: Tensor, label_BHW: Tensor) -> Tensor:
    """The Lovász extension of the Jaccard loss, mean over the classes of each image, (B,)."""
    target_BKN = of_class(label_BHW, probs_BKHW.shape[1]).flatten(2)
    valid_B1N = (label_BHW != IGNORE).flatten(1)[:, None]
    error_BKN = torch.where(valid_B1N, (target_BKN.to(probs_BKHW) - probs_BKHW.flatten(2)).abs(), -1)
    error_BKN, order_BKN = error_BKN.sort(dim=2, descending=True)  # ignored pixels come last
    with torch.no_grad():
        sorted_BKN = target_BKN.gather(2, order_BKN).to(probs_BKHW)
        pixels_BK1 = sorted_BKN.sum(dim=2, keepdim=True)
        missed_BKN = sorted_BKN.cumsum(dim=2)
        jaccard_BKN = 1 - (pixels_BK1 - missed_BKN) / (pixels_BK1 + (1 - sorted_BKN).cumsum(dim=2)).clamp(min=1)
        increment_BKN = jaccard_BKN.diff(dim=2, prepend=torch.zeros_like(pixels_BK1))
    value_BK = (error_BKN.clamp(min=0) * increment_BKN).sum(dim=2)
    return mean_of_present(value_BK, target_BKN.any(dim=2))
