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
    """Cut object instances out of one image along their masks and paste them into another image.

    Use when: the task is segmentation with few examples, and objects can appear anywhere.
    Do not use when: the surroundings of an object determine its class.
    Source: Ghiasi et al. 2021, arXiv:2012.07177.
    Deviates: objects keep their position and size. Crop and scale methods have already transformed the whole images.
    Shapes: batch.x float (B, C, H, W), instances one entry per sample; the masks of the targets (B, H, W) follow.
    """

    identity = {"prob": 0.0}
    order = 6

    prob: Annotated[
        float, Field(ge=0, le=1, description="probability that instances are pasted into a sample"), Search(0.0, 1.0)
    ] = 0.5
    share: Annotated[
        float, Field(gt=0, le=1, description="probability that an instance of the partner is pasted"), Search(0.2, 1.0)
    ] = 0.5

    def apply(self, batch: Batch, rng: BatchRng) -> Batch:
        if self.prob == 0:
            return batch
        if batch.instances is None:
            raise NoEffectError("the samples have no instances: copy_paste needs an instance mask for each object")
        partner_B = torch.from_numpy(rng.permutation())
        most = max((len(one.label_N) for one in batch.instances), default=0)
        taken_BN = torch.from_numpy((rng.uniform(shape=(most,)) < self.share) & rng.bernoulli(self.prob)[:, None])
        region_BHW = torch.zeros((len(batch), *batch.x.shape[2:]), dtype=torch.bool, device=batch.x.device)
        for i, partner in enumerate(partner_B.tolist()):
            masks_NHW = batch.instances[partner].mask_NHW
            region_BHW[i] = masks_NHW[taken_BN[i, : len(masks_NHW)].to(masks_NHW.device, non_blocking=True)].any(dim=0)
        return paste(batch, partners(batch, partner_B.to(batch.x.device, non_blocking=True)), region_BHW)
