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

_HIGHEST = 12  # at the paper's decay of 3, higher frequencies carry less than a thousandth of the lowest


class FMix(Method, Mixes, name="fmix", family="mix", tasks={"image-classification"}):
    """Paste a cloud-shaped part of one image into another; the targets share by area.

    Use when: cutmix helps, and its straight edges are not what one wants to teach.
    Do not use when: small objects decide the class: the part may carry none of it.
    Source: Harris et al. 2020, arXiv:2002.12047.
    Deviates: the shape is drawn for each sample, not for each batch, from the twelve lowest frequencies.
    Shapes: batch.x float (B, C, H, W), targets (B, K) soft.
    """

    identity = {"prob": 0.0}
    order = 11

    alpha: Annotated[
        float, Field(gt=0, description="the kept share is drawn from Beta(alpha, alpha)"), Search(0.2, 2.0)
    ] = 1.0
    decay: Annotated[
        float,
        Field(ge=0, le=8, description="how fast high frequencies fade: large for few, smooth blobs"),
        Search(1.5, 5.0),
    ] = 3.0
    prob: Annotated[float, Field(ge=0, le=1, description="share of samples mixed"), Search(0.2, 1.0)] = 0.5

    def apply(self, batch: Batch, rng: BatchRng) -> Batch:
        if self.prob == 0:
            return batch
        pasted_B = (1 - rng.beta(self.alpha, self.alpha)) * rng.bernoulli(self.prob)
        partner_B = torch.from_numpy(rng.permutation()).to(batch.x.device)
        height, width = batch.x.shape[2:]
        cloud_BHW = torch.from_numpy(clouds(rng, self.decay, (height, width)))
        count_B = torch.from_numpy(np.rint(pasted_B * height * width).astype(np.int64))
        # The highest places of each cloud, as many as its share asks for.
        rank_BN = cloud_BHW.flatten(1).argsort(dim=1, descending=True).argsort(dim=1)
        region_BHW = (rank_BN < count_B[:, None]).view_as(cloud_BHW).to(batch.x.device)
        return paste(batch, partner_B, partners(batch, partner_B), region_BHW)


def clouds(rng: BatchRng, decay: float, size: tuple[int, int]) -> np.ndarray:
    """Smooth random fields (B, H, W): normal amplitudes whose size falls with the frequency to the power `decay`."""
    rows, columns = min(_HIGHEST, size[0] // 2), min(_HIGHEST, size[1] // 2 + 1)
    parts = rng.normal((2 * rows, columns, 2))
    down, across = np.fft.fftfreq(size[0]), np.fft.rfftfreq(size[1])
    used = np.r_[0:rows, size[0] - rows : size[0]]
    frequency = np.hypot(down[used, None], across[None, :columns])
    spectrum = np.zeros((len(rng), size[0], len(across)), dtype=complex)
    weight = np.maximum(frequency, 1 / max(size)) ** -decay
    spectrum[:, used, :columns] = (parts[..., 0] + 1j * parts[..., 1]) * weight
    return np.fft.irfft2(spectrum, size)
