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

# At the paper's decay of 3, higher frequencies have less than a thousandth of the lowest one's weight.
_MAX_FREQUENCIES = 12


class FMix(Method, Mixes, name="fmix", family="mix", tasks={"image-classification", "semantic-segmentation"}):
    """Paste an irregular, smooth region of one image into another and mix the targets in proportion to the areas.

    Use when: cutmix helps, but the network should not learn the straight edges of its rectangles.
    Do not use when: small objects determine the class. The region may contain none of the object.
    Source: Harris et al. 2020, arXiv:2002.12047.
    Deviates: the region is drawn per sample, not per batch. It is generated from the twelve lowest frequencies only.
    Shapes: batch.x float (B, C, H, W), targets (B, K) soft.
    """

    identity = {"prob": 0.0}
    order = 11

    alpha: Annotated[
        float,
        Field(gt=0, description="the fraction of the image that is kept is drawn from Beta(alpha, alpha)"),
        Search(0.2, 2.0),
    ] = 1.0
    decay: Annotated[
        float,
        Field(
            ge=0, le=8, description="exponent by which high frequencies decay; large values give few, smooth regions"
        ),
        Search(1.5, 5.0),
    ] = 3.0
    prob: Annotated[float, Field(ge=0, le=1, description="probability that a sample is mixed"), Search(0.2, 1.0)] = 0.5

    def apply(self, batch: Batch, rng: BatchRng) -> Batch:
        if self.prob == 0:
            return batch
        pasted_B = (1 - rng.beta(self.alpha, self.alpha)) * rng.bernoulli(self.prob)
        partner_B = torch.from_numpy(rng.permutation()).to(batch.x.device, non_blocking=True)
        height, width = batch.x.shape[2:]
        field_BHW = torch.from_numpy(random_fields(rng, self.decay, (height, width)))
        count_B = torch.from_numpy(np.rint(pasted_B * height * width).astype(np.int64))
        # Paste the pixels with the highest values of the random field.
        rank_BN = field_BHW.flatten(1).argsort(dim=1, descending=True).argsort(dim=1)
        region_BHW = (rank_BN < count_B[:, None]).view_as(field_BHW).to(batch.x.device, non_blocking=True)
        return paste(batch, partners(batch, partner_B), region_BHW)


def random_fields(rng: BatchRng, decay: float, size: tuple[int, int]) -> np.ndarray:
    """Smooth random fields (B, H, W). Amplitudes are normal and scaled by 1 / frequency ** decay."""
    rows, columns = min(_MAX_FREQUENCIES, size[0] // 2), min(_MAX_FREQUENCIES, size[1] // 2 + 1)
    parts = rng.normal((2 * rows, columns, 2))
    down, across = np.fft.fftfreq(size[0]), np.fft.rfftfreq(size[1])
    used = np.r_[0:rows, size[0] - rows : size[0]]
    frequency = np.hypot(down[used, None], across[None, :columns])
    spectrum = np.zeros((len(rng), size[0], len(across)), dtype=complex)
    weight = np.maximum(frequency, 1 / max(size)) ** -decay
    spectrum[:, used, :columns] = (parts[..., 0] + 1j * parts[..., 1]) * weight
    return np.fft.irfft2(spectrum, size)
