from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from whet.core.batch import Batch
from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Mixes
from whet.methods.mix.paste import partners, paste
from whet.methods.mix.resizemix import squeezed


class Mosaic(
    Method, Mixes, family="mix", tasks={"image-classification", "semantic-segmentation", "instance-segmentation"}
):
    """Combine four images into one around a random point and mix the class targets in proportion to the areas.

    Use when: the task is segmentation or detection, or images contain many objects.
    Do not use when: one large object fills the image and its size matters.
    Source: Bochkovskiy et al. 2020, arXiv:2004.10934 (YOLOv4).
    Deviates: each image is resized as a whole to its quarter; YOLO also crops.
    Shapes: batch.x float (B, C, H, W), targets (B, K) soft, masks (B, H, W), transformed like the images.
    """

    identity = {"prob": 0.0}
    order = 5

    prob: Annotated[
        float, Field(ge=0, le=1, description="probability that a sample is replaced by a mosaic"), Search(0.0, 1.0)
    ] = 0.5
    spread: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="the common corner is drawn from the middle of the image, this fraction of each side",
        ),
        Search(0.1, 0.7),
    ] = 0.5

    def apply(self, batch: Batch, rng: BatchRng) -> Batch:
        if self.prob == 0:
            return batch
        B, (height, width), device = len(batch), batch.x.shape[2:], batch.x.device
        chosen_B = torch.from_numpy(rng.bernoulli(self.prob)).to(device, non_blocking=True)
        reach = self.spread / 2
        centre_x, centre_y = (np.rint(rng.uniform(0.5 - reach, 0.5 + reach) * side) for side in (width, height))
        index_BQ = torch.stack([torch.arange(B), *(torch.from_numpy(rng.permutation()) for _ in range(3))], dim=1)
        u_BW, right_BW = _halves(centre_x, width, device)
        v_BH, low_BH = _halves(centre_y, height, device)
        mixed, share_BQ = batch, torch.zeros((B, 4), device=device)
        for quarter in range(4):
            columns = right_BW if quarter % 2 else ~right_BW
            rows = low_BH if quarter // 2 else ~low_BH
            region_BHW = rows[:, :, None] & columns[:, None, :] & chosen_B[:, None, None]
            share_BQ[:, quarter] = region_BHW.flatten(1).float().mean(dim=1)
            partner_B = index_BQ[:, quarter].to(device, non_blocking=True)
            mixed = paste(mixed, squeezed(partners(batch, partner_B), u_BW, v_BH), region_BHW)
        share_BQ[:, 0] += 1 - share_BQ.sum(dim=1)  # samples that are not mixed
        return mixed.replace(
            targets=mixed.targets.composed(batch.targets, index_BQ.to(device, non_blocking=True), share_BQ)
        )


def _halves(centre_B: np.ndarray, size: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the source coordinate (0 … 1) of each row or column, and whether it is past the centre; both (B, size)."""
    position = torch.arange(size, device=device) + 0.5
    centre = torch.from_numpy(centre_B).to(device, non_blocking=True).float().clamp(1, size - 1)[:, None]
    beyond = position > centre
    return torch.where(beyond, (position - centre) / (size - centre), position / centre), beyond
