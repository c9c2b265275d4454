from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from whet.core.batch import Batch, Instances
from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Mixes
from whet.methods.mix.paste import Pasted, partners, paste


class ResizeMix(Method, Mixes, name="resizemix", family="mix", tasks={"image-classification", "semantic-segmentation"}):
    """Paste a whole image, reduced in size, into another and mix the targets in proportion to the areas.

    Use when: objects should not be cropped, as cutmix may do.
    Do not use when: the true size of objects determines the class.
    Source: Qin et al. 2020, arXiv:2012.11101.
    Deviates: size and position are drawn per sample, not per batch.
    Shapes: batch.x float (B, C, H, W), targets (B, K) soft.
    """

    identity = {"prob": 0.0}
    order = 12

    min_side: Annotated[
        float, Field(gt=0, le=1, description="smallest side of the pasted image, as a fraction of the image's side")
    ] = 0.1
    max_side: Annotated[
        float,
        Field(gt=0, le=1, description="largest side of the pasted image, as a fraction of the image's side"),
        Search(0.3, 0.9),
    ] = 0.8
    prob: Annotated[float, Field(ge=0, le=1, description="probability that a sample is mixed"), Search(0.2, 1.0)] = 0.5

    def apply(self, batch: Batch, rng: BatchRng) -> Batch:
        if self.prob == 0:
            return batch
        height, width = batch.x.shape[2:]
        side_B = rng.uniform(min(self.min_side, self.max_side), self.max_side) * rng.bernoulli(self.prob)
        w_B, h_B = np.rint(side_B * width), np.rint(side_B * height)
        left_B, top_B = np.floor(rng.uniform() * (width - w_B + 1)), np.floor(rng.uniform() * (height - h_B + 1))
        device = batch.x.device
        partner_B = torch.from_numpy(rng.permutation()).to(device, non_blocking=True)
        box_B4 = (
            torch.from_numpy(np.stack([left_B, top_B, left_B + w_B, top_B + h_B], axis=1))
            .to(device, non_blocking=True)
            .float()
        )
        x, y = (torch.arange(n, device=device) + 0.5 for n in (width, height))
        across = (x > box_B4[:, 0:1]) & (x < box_B4[:, 2:3])
        down = (y > box_B4[:, 1:2]) & (y < box_B4[:, 3:4])
        region_BHW = down[:, :, None] & across[:, None, :]
        u_BW = (x - box_B4[:, 0:1]) / (box_B4[:, 2:3] - box_B4[:, 0:1]).clamp(min=1)
        v_BH = (y - box_B4[:, 1:2]) / (box_B4[:, 3:4] - box_B4[:, 1:2]).clamp(min=1)
        return paste(batch, squeezed(partners(batch, partner_B), u_BW, v_BH), region_BHW)


def squeezed(pasted: Pasted, u_BW: Tensor, v_BH: Tensor) -> Pasted:
    """Sample each image at columns u (0 … 1, left to right) and rows v. Images use bilinear, masks nearest interpolation."""
    grid = torch.stack(torch.broadcast_tensors(u_BW[:, None, :], v_BH[:, :, None]), dim=-1) * 2 - 1

    def sampled(x_BCHW: Tensor, mode: str) -> Tensor:
        return F.grid_sample(x_BCHW, grid.to(x_BCHW.dtype), mode=mode, padding_mode="border", align_corners=False)

    instances = pasted.instances
    if instances is not None:
        instances = tuple(
            Instances(
                F.grid_sample(
                    one.mask_NHW[None].float(), grid[i : i + 1], mode="nearest", padding_mode="border", align_corners=False
                )[0].bool(),
                one.label_N,
            )
            for i, one in enumerate(instances)
        )  # fmt: skip
    return Pasted(sampled(pasted.x, "bilinear"), pasted.targets.sampled(grid), instances)
