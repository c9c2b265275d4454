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


class ManifoldMixup(
    Method, Mixes, family="mix", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Mix two samples inside the network, at the output of a block drawn anew for every batch, and their targets alike; of texts
    the vectors of their tokens, or their features.

    Use when: mixup helps and training is long.
    Do not use when: training is short.
    Source: Verma et al. 2019, arXiv:1806.05236; for texts Guo, Mao, Zhang 2019, arXiv:1905.08941 (wordMixup and senMixup).
    Deviates: the weight is drawn for each sample and folded to >= 0.5, so that the first sample leads.
    Shapes: targets (B, K) soft; the block's output, rows first.
    """

    identity = {"alpha": 0.0}
    order = 21
    conflicts = frozenset({"mixup"})

    alpha: Annotated[
        float, Field(ge=0, description="weights are drawn from Beta(alpha, alpha)"), Search(0.1, 2.0, log=True)
    ] = 0.4
    max_depth: Annotated[
        float,
        Field(ge=0, le=1, description="deepest block that may be drawn, as a share of the network"),
        Search(0.2, 1.0),
    ] = 0.7

    def apply(self, batch: Batch, rng: BatchRng) -> Batch:
        if self.alpha == 0:
            return batch
        depth = float(rng.uniform(0, self.max_depth)[0])
        weight = rng.beta(self.alpha, self.alpha)
        weight_B = torch.from_numpy(np.maximum(weight, 1 - weight)).float().to(batch.x.device)
        partner_B = torch.from_numpy(rng.permutation()).to(batch.x.device)
        inside = (*batch.hidden_mix, HiddenMix(depth, mean_with_partners(partner_B, weight_B)))
        return batch.replace(targets=batch.targets.mix(partner_B, weight_B), hidden_mix=inside)
