from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field

from whet.core.batch import Batch
from whet.core.errors import NoEffectError
from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Mixes
from whet.methods.mix.paste import partners, paste


class CopyPaste(Method, Mixes, family="mix", tasks={"semantic-segmentation", "instance-segmentation"}):
    """Cut things out of one image along their outline and paste them into another.

    Use when: segmenting with few examples; things appear anywhere.
    Do not use when: a thing's surroundings tell what it is.
    Source: Ghiasi et al. 2021, arXiv:2012.07177.
    Deviates: things keep their place and size; crop and scale methods have moved the whole images before.
    Shapes: batch.x float (B, C, H, W), instances one a sample, masks (B, H, W) where there are any.
    """

    identity = {"prob": 0.0}
    order = 6

    prob: Annotated[
        float, Field(ge=0, le=1, description="share of samples that are given things"), Search(0.0, 1.0)
    ] = 0.5
    share: Annotated[
        float, Field(gt=0, le=1, description="chance of each of the partner's things to come along"), Search(0.2, 1.0)
    ] = 0.5

    def apply(self, batch: Batch, rng: BatchRng) -> Batch:
        if self.prob == 0:
            return batch
        if batch.instances is None:
            raise NoEffectError("the samples have no instances: copy_paste needs the outline of every thing")
        partner_B = torch.from_numpy(rng.permutation())
        most = max((len(one.label_N) for one in batch.instances), default=0)
        taken_BN = torch.from_numpy((rng.uniform(shape=(most,)) < self.share) & rng.bernoulli(self.prob)[:, None])
        region_BHW = torch.zeros((len(batch), *batch.x.shape[2:]), dtype=torch.bool, device=batch.x.device)
        for i, partner in enumerate(partner_B.tolist()):
            things = batch.instances[partner].mask_NHW
            region_BHW[i] = things[taken_BN[i, : len(things)].to(things.device)].any(dim=0)
        given = paste(batch, partner_B.to(batch.x.device), partners(batch, partner_B), region_BHW)
        return given.replace(targets=batch.targets)  # which things are there is what the masks say
