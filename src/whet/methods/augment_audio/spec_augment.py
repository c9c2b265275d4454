from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import TransformsBatch

if TYPE_CHECKING:
    from torch import Tensor


class SpecAugment(Method, TransformsBatch, family="augment", tasks={"audio-classification"}):
    """Mask random time segments and frequency bands of each spectrogram (time_mask and freq_mask combined).

    Use when: a strong default for audio clips is needed.
    Do not use when: time_mask or freq_mask is in the recipe. This method combines both.
    Source: Park et al. 2019, arXiv:1904.08779.
    Deviates: no time warping, which the paper reports to add little at a high cost. Mask widths are fractions of the clip and of
    the bands. Masked cells are set to the mean of the spectrogram.
    Shapes: spectrograms float (B, 1, frames, mels) in and out.
    """

    identity = {"masks": 0}
    order = 85
    conflicts = frozenset({"time_mask", "freq_mask"})

    masks: Annotated[int, Field(ge=0, le=10, description="number of masks of each kind"), Search(0, 4)] = 2
    max_time_fraction: Annotated[
        float,
        Field(
            ge=0,
            le=0.5,
            description="the width of each time mask is drawn uniformly from 0 to this fraction of the clip",
        ),
        Search(0.02, 0.3),
    ] = 0.1
    max_freq_fraction: Annotated[
        float,
        Field(
            ge=0,
            le=0.5,
            description="the width of each frequency mask is drawn uniformly from 0 to this fraction of the bands",
        ),
        Search(0.02, 0.3),
    ] = 0.15

    def transform_batch(self, x_BCLM: Tensor, rng: BatchRng) -> Tensor:
        from whet.methods.augment_audio.masking import masked, random_masks  # imports torch lazily
        from whet.methods.augment_audio.spectrogram import check_spectrogram

        check_spectrogram(x_BCLM, self.name)
        if self.masks == 0:
            return x_BCLM
        time_BL = random_masks(rng, self.masks, self.max_time_fraction, x_BCLM.shape[2])
        return masked(x_BCLM, time_BL, random_masks(rng, self.masks, self.max_freq_fraction, x_BCLM.shape[3]))
