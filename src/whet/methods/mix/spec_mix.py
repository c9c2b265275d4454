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
from whet.methods.augment_audio.spectrogram import check_spectrogram
from whet.methods.mix.paste import partners, paste


class SpecMix(Method, Mixes, family="mix", tasks={"audio-classification"}):
    """Paste random frequency bands and time segments of one spectrogram into another and mix the targets by area.

    Use when: audio clips are few, and the class is visible in several bands and at several times.
    Do not use when: a short event in an otherwise silent clip determines the class. The pasted parts may contain none of it.
    Source: Kim, Han, Ko 2021, arXiv:2108.03020.
    Deviates: bands are drawn per sample, not per batch, and mixed at the input only. Target weights are the fraction of cells that
    were pasted; overlaps count once.
    Shapes: batch.x float (B, 1, frames, mels), targets (B, K) soft.
    """

    identity = {"prob": 0.0}
    order = 13

    prob: Annotated[float, Field(ge=0, le=1, description="probability that a sample is mixed"), Search(0.2, 1.0)] = 0.5
    bands: Annotated[
        int,
        Field(
            ge=1,
            le=8,
            description="largest number of frequency bands and of time segments; each number is drawn from 1 … bands",
        ),
        Search(1, 4),
    ] = 3
    width: Annotated[
        float,
        Field(gt=0, le=1, description="width of each band or segment, as a fraction of the mel bands or frames"),
        Search(0.05, 0.4),
    ] = 0.1

    def apply(self, batch: Batch, rng: BatchRng) -> Batch:
        if self.prob == 0:
            return batch
        check_spectrogram(batch.x, self.name)
        frames, mels = batch.x.shape[2:]
        mixed_B, partner_B = rng.bernoulli(self.prob), rng.permutation()
        time_BL, mel_BM = self._segments(rng, frames), self._segments(rng, mels)
        region_BLM = (time_BL[:, :, None] | mel_BM[:, None, :]) & mixed_B[:, None, None]
        partner = torch.from_numpy(partner_B).to(batch.x.device, non_blocking=True)
        return paste(
            batch, partners(batch, partner), torch.from_numpy(region_BLM).to(batch.x.device, non_blocking=True)
        )

    def _segments(self, rng: BatchRng, size: int) -> np.ndarray:
        """Masks, bool (B, size), of 1 … `bands` segments of the given width."""
        width = min(size, max(1, round(self.width * size)))
        count_B = 1 + rng.integers(self.bands)
        first_BN = np.floor(rng.uniform(shape=(self.bands,)) * (size - width + 1))
        position = np.arange(size)
        within_BNS = (position >= first_BN[..., None]) & (position < first_BN[..., None] + width)
        return (within_BNS & (np.arange(self.bands) < count_B[:, None])[..., None]).any(axis=1)
