from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import TransformsBatch

if TYPE_CHECKING:
    from torch import Tensor


class FreqMask(Method, TransformsBatch, family="augment", tasks={"audio-classification"}):
    """Mask random frequency bands of each spectrogram.

    Use when: microphones lose frequency bands, or the network depends on a single band.
    Do not use when: one narrow band distinguishes the classes.
    Source: Park et al. 2019, arXiv:1904.08779.
    Deviates: mask widths are fractions of the mel bands. Masked cells are set to the mean of the spectrogram.
    Shapes: spectrograms float (B, 1, frames, mels) in and out.
    """

    identity = {"masks": 0}
    order = 85

    masks: Annotated[int, Field(ge=0, le=10, description="number of masks"), Search(0, 4)] = 2
    max_fraction: Annotated[
        float,
        Field(
            ge=0, le=0.5, description="the width of each mask is drawn uniformly from 0 to max_fraction of the bands"
        ),
        Search(0.02, 0.3),
    ] = 0.15

    def transform_batch(self, x_BCLM: Tensor, rng: BatchRng) -> Tensor:
        from whet.methods.augment_audio.masking import masked, random_masks  # imports torch lazily
        from whet.methods.augment_audio.spectrogram import check_spectrogram

        check_spectrogram(x_BCLM, self.name)
        if self.masks == 0 or self.max_fraction == 0:
            return x_BCLM
        return masked(x_BCLM, bands_BM=random_masks(rng, self.masks, self.max_fraction, x_BCLM.shape[3]))
