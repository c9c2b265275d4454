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
    """Hide some bands of each spectrogram.

    Use when: microphones lose bands, or the network leans on one of them.
    Do not use when: one narrow band tells the classes apart.
    Source: Park et al. 2019, arXiv:1904.08779.
    Deviates: widths are shares of the clip; the stripes hold the spectrogram's own mean.
    Shapes: spectrograms float (B, 1, frames, mels) in and out.
    """

    identity = {"masks": 0}
    order = 85

    masks: Annotated[int, Field(ge=0, le=10, description="how many stripes"), Search(0, 4)] = 2
    max_fraction: Annotated[
        float,
        Field(ge=0, le=0.5, description="a stripe's width is uniform in 0 … this of the bands"),
        Search(0.02, 0.3),
    ] = 0.15

    def transform_batch(self, x_BCLM: Tensor, rng: BatchRng) -> Tensor:
        from whet.methods.augment_audio.masking import masked, stripes  # torch is loaded when it is needed
        from whet.methods.augment_audio.spectrogram import check_spectrogram

        check_spectrogram(x_BCLM, self.name)
        if self.masks == 0 or self.max_fraction == 0:
            return x_BCLM
        return masked(x_BCLM, bands_BM=stripes(rng, self.masks, self.max_fraction, x_BCLM.shape[3]))
