from __future__ import annotations

from functools import partial
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

_LEAST = 1e-7


class Tversky(Method, WrapsLoss, family="balance", tasks={"semantic-segmentation"}):
    """Maximise the Tversky index of each class: Dice with separate factors for false positives and missed pixels.

    Use when: small or rare classes are missed, and finding them is worth some false positives (beta above alpha).
    Do not use when: probabilities must be calibrated, or images have few labelled pixels.
    Source: Salehi, Erdogmus, Gholipour 2017, arXiv:1706.05721.
    Deviates: the mean over the classes that occur in the mask of an image, mixed with cross-entropy.
    Shapes: (1 - weight) * loss (B,) + weight * mean over classes of 1 - TP / (TP + alpha FP + beta FN) (B,). The counts are sums
    of probabilities over the pixels that are not ignored; alpha = beta = 0.5 is dice.
    """

    identity = {"weight": 0.0}
    order = 20
    conflicts = frozenset({"dice"})

    weight: Annotated[float, Field(ge=0, le=1, description="share of this loss in the total"), Search(0.2, 1.0)] = 0.5
    alpha: Annotated[float, Field(gt=0, le=1, description="factor on false positives"), Search(0.1, 0.5)] = 0.3
    beta: Annotated[float, Field(gt=0, le=1, description="factor on missed pixels"), Search(0.5, 0.9)] = 0.7

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        if self.weight == 0:
            return loss
        return combined(loss, partial(tversky_loss, alpha=self.alpha, beta=self.beta), self.weight)


def tversky_loss(probs_BKHW: Tensor, label_BHW: Tensor, alpha: float, beta: float) -> Tensor:
    """1 - the Tversky index, mean over the classes of each image, (B,)."""
    target_BKHW = of_class(label_BHW, probs_BKHW.shape[1])
    valid_B1HW = (label_BHW != IGNORE)[:, None]
    hit_BK = torch.where(target_BKHW, probs_BKHW, 0).sum(dim=(2, 3))
    predicted_BK = torch.where(valid_B1HW, probs_BKHW, 0).sum(dim=(2, 3))
    target_BK = target_BKHW.sum(dim=(2, 3))
    wrong_BK = alpha * (predicted_BK - hit_BK) + beta * (target_BK - hit_BK)
    return mean_of_present(1 - hit_BK / (hit_BK + wrong_BK).clamp(min=_LEAST), target_BK > 0)
