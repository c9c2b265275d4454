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


class CutMix(Method, Mixes, name="cutmix", family="mix", tasks={"image-classification", "semantic-segmentation"}):
    """Paste a rectangle of one image into another and mix the targets in proportion to the areas.

    Use when: objects can appear anywhere in the image, and training is long enough.
    Do not use when: small objects determine the class. The rectangle may contain none of the object.
    Source: Yun et al. 2019, arXiv:1905.04899.
    Deviates: the rectangle is drawn per sample, not per batch. The target weights are exact fractions of pixels.
    Shapes: batch.x float (B, C, H, W), targets (B, K) soft.
    """

    identity = {"alpha": 0.0}
    order = 10

    alpha: Annotated[
        float,
        Field(ge=0, description="the fraction of the image that is kept is drawn from Beta(alpha, alpha)"),
        Search(0.1, 1.0, log=True),
    ] = 1.0
    prob: Annotated[float, Field(ge=0, le=1, description="probability that a sample is mixed"), Search(0.2, 1.0)] = 0.5

    def apply(self, batch: Batch, rng: BatchRng) -> Batch:
        if self.alpha == 0 or self.prob == 0:
            return batch
        height, width = batch.x.shape[2:]
        side = np.sqrt(1 - rng.beta(self.alpha, self.alpha)) * rng.bernoulli(self.prob)
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        left, right = (np.clip(np.rint(x + sign * side * width / 2), 0, width) for sign in (-1, 1))
        top, bottom = (np.clip(np.rint(y + sign * side * height / 2), 0, height) for sign in (-1, 1))
        partner_B = torch.from_numpy(rng.permutation()).to(batch.x.device, non_blocking=True)
        inside = _between(left, right, width)[:, None, :] & _between(top, bottom, height)[:, :, None]
        return paste(batch, partners(batch, partner_B), inside.to(batch.x.device, non_blocking=True))


def _between(low_B: np.ndarray, high_B: np.ndarray, size: int) -> torch.Tensor:
    position = np.arange(size)[None, :]
    return torch.from_numpy((position >= low_B[:, None]) & (position < high_B[:, None]))
