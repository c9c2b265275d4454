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
    """Mix the hidden states of two samples and their targets, at the output of a block drawn for each batch.

    Use when: mixup helps and training is long.
    Do not use when: training is short.
    Source: Verma et al. 2019, arXiv:1806.05236; for text Guo, Mao, Zhang 2019, arXiv:1905.08941 (wordMixup and senMixup).
    Deviates: the weight is drawn per sample. It is at least 0.5, so that the first sample has the larger weight.
    Shapes: targets (B, K) soft; the output of the block, with the batch as first dimension. For text, token embeddings or features
    are mixed.
    """

    identity = {"alpha": 0.0}
    order = 21
    conflicts = frozenset({"mixup"})

    alpha: Annotated[
        float, Field(ge=0, description="the mixing weight is drawn from Beta(alpha, alpha)"), Search(0.1, 2.0, log=True)
    ] = 0.4
    max_depth: Annotated[
        float,
        Field(ge=0, le=1, description="deepest block that can be drawn, as a fraction of the network's depth"),
        Search(0.2, 1.0),
    ] = 0.7

    def apply(self, batch: Batch, rng: BatchRng) -> Batch:
        if self.alpha == 0:
            return batch
        depth = float(rng.uniform(0, self.max_depth)[0])
        weight = rng.beta(self.alpha, self.alpha)
        weight_B = torch.from_numpy(np.maximum(weight, 1 - weight)).float().to(batch.x.device, non_blocking=True)
        partner_B = torch.from_numpy(rng.permutation()).to(batch.x.device, non_blocking=True)
        inside = (*batch.hidden_mix, HiddenMix(depth, mean_with_partners(partner_B, weight_B)))
        return batch.replace(targets=batch.targets.mix(partner_B, weight_B), hidden_mix=inside)
