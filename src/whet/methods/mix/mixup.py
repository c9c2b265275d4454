from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from whet.core.batch import Batch
from whet.core.method import Method, Search, Stage
from whet.core.rng import BatchRng


class MixUp(
    Method, name="mixup", stage=Stage.BATCH, family="mix", tasks={"image-classification", "audio-classification"}
):
    """Train on weighted means of two samples, inputs and targets alike.

    Use when: few or noisily labelled examples, long training.
    Do not use when: training is very short, or the mean of two inputs means nothing.
    Source: Zhang et al. 2018, arXiv:1710.09412.
    Deviates: the weight is drawn for each sample, not for each batch, and folded to >= 0.5, so that the first sample leads.
    Shapes: batch.x float, targets (B, K) soft.
    """

    identity = {"alpha": 0.0}
    order = 20

    alpha: Annotated[
        float, Field(ge=0, description="weights are drawn from Beta(alpha, alpha)"), Search(0.05, 1.0, log=True)
    ] = 0.2
    prob: Annotated[float, Field(ge=0, le=1, description="share of samples mixed"), Search(0.2, 1.0)] = 1.0

    def apply(self, batch: Batch, rng: BatchRng) -> Batch:
        if self.alpha == 0 or self.prob == 0:
            return batch
        weight = rng.beta(self.alpha, self.alpha)
        weight = np.where(rng.bernoulli(self.prob), np.maximum(weight, 1 - weight), 1.0)
        partner_B = torch.from_numpy(rng.permutation()).to(batch.x.device)
        weight_B = torch.from_numpy(weight).to(batch.x)
        lead = weight_B.view(-1, *[1] * (batch.x.dim() - 1))
        return batch.replace(
            x=lead * batch.x + (1 - lead) * batch.x[partner_B],
            targets=batch.targets.mix(partner_B, weight_B),
        )
