from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from whet.core.batch import Batch, HiddenMix
from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Mixes
from whet.methods.mix.mean import mean_with_partners


class MixUp(
    Method,
    Mixes,
    name="mixup",
    family="mix",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Train on weighted means of two samples and of their targets. For text, token embeddings are averaged.

    Use when: labelled examples are few or have noisy labels, and training is long.
    Do not use when: training is very short, or the mean of two inputs has no meaning.
    Source: Zhang et al. 2018, arXiv:1710.09412; for text Guo, Mao, Zhang 2019, arXiv:1905.08941 (wordMixup).
    Deviates: the weight is drawn per sample, not per batch. It is at least 0.5, so that the first sample has the larger weight.
    Shapes: batch.x float (B, ...), or token embeddings (B, L, D) inside the network, with zeros after the end of each text; targets
    (B, K) soft.
    """

    identity = {"alpha": 0.0}
    order = 20

    alpha: Annotated[
        float,
        Field(ge=0, description="the mixing weight is drawn from Beta(alpha, alpha)"),
        Search(0.05, 1.0, log=True),
    ] = 0.2
    prob: Annotated[float, Field(ge=0, le=1, description="probability that a sample is mixed"), Search(0.2, 1.0)] = 1.0

    def apply(self, batch: Batch, rng: BatchRng) -> Batch:
        if self.alpha == 0 or self.prob == 0:
            return batch
        weight = rng.beta(self.alpha, self.alpha)
        weight = np.where(rng.bernoulli(self.prob), np.maximum(weight, 1 - weight), 1.0)
        partner_B = torch.from_numpy(rng.permutation()).to(batch.x.device, non_blocking=True)
        weight_B = torch.from_numpy(weight).float().to(batch.x.device, non_blocking=True)
        mixed, targets = mean_with_partners(partner_B, weight_B), batch.targets.mix(partner_B, weight_B)
        if batch.x.is_floating_point():
            return batch.replace(x=mixed(batch.x), targets=targets)
        return batch.replace(hidden_mix=(*batch.hidden_mix, HiddenMix(0.0, mixed)), targets=targets)
