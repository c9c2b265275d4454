from __future__ import annotations

from typing import Annotated, Any, cast

import torch
from pydantic import Field
from torch import Tensor

from whet.core.batch import Context, Loss, Outcome
from whet.core.mask_targets import MaskTargets
from whet.core.masks import IGNORE
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import WrapsLoss


class OHEM(Method, WrapsLoss, name="ohem", family="balance", tasks={"semantic-segmentation"}):
    """Train on the pixels with the largest loss only (online hard example mining).

    Use when: most pixels are easy, such as a uniform background, and dominate the loss.
    Do not use when: masks contain errors, because wrongly labelled pixels have the largest loss.
    Source: Shrivastava, Gupta, Girshick 2016, arXiv:1604.03540.
    Deviates: pixels of an image in place of regions of a batch.
    Shapes: the loss (B,) is the mean over the hardest share of the pixels of each image that are not ignored. Losses of regions,
    such as dice, keep all pixels.
    """

    identity = {"share": 1.0}
    order = 65

    share: Annotated[
        float, Field(gt=0, le=1, description="share of the pixels of each image that is kept"), Search(0.1, 0.9)
    ] = 0.3

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        if self.share == 1:
            return loss

        def hardest(outcome: Outcome) -> Tensor:
            targets = cast(MaskTargets, outcome.batch.targets)
            return loss(outcome.with_targets(targets.weighing(self._weights)))

        return hardest

    def _weights(self, label_BHW: Tensor, pixel_BHW: Tensor) -> Tensor:
        """0 for easy pixels, and for the hardest what makes the mean over all pixels their mean."""
        valid_BN = (label_BHW != IGNORE).flatten(1)
        loss_BN = torch.where(valid_BN, pixel_BHW.flatten(1), -torch.inf)
        valid_B1 = valid_BN.sum(dim=1, keepdim=True)
        last_B1 = ((valid_B1 * self.share).ceil().long() - 1).clamp(min=0)
        least_B1 = loss_BN.sort(dim=1, descending=True).values.gather(1, last_B1)
        kept_BN = valid_BN & (loss_BN >= least_B1)
        weight_B1 = valid_B1 / kept_BN.sum(dim=1, keepdim=True).clamp(min=1)
        return (kept_BN * weight_B1).view_as(pixel_BHW)
