from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import TransformsBatch

if TYPE_CHECKING:
    from torch import Tensor


class Vtlp(Method, TransformsBatch, family="augment", tasks={"audio-classification"}):
    """Stretch or compress the frequency axis of each spectrogram, as a longer or shorter vocal tract does.

    Use when: speakers or animals at prediction time differ in size from those in the training data.
    Do not use when: the exact frequency of a band distinguishes the classes.
    Source: Jaitly and Hinton 2013, "Vocal tract length perturbation (VTLP) improves speech recognition".
    Deviates: the warp is piecewise linear over the mel bands of the computed spectrogram, not over hertz before the mel filter
    bank.
    Shapes: spectrograms float (B, 1, frames, mels) in and out.
    """

    identity = {"max_factor": 1.0}
    order = 84

    max_factor: Annotated[
        float,
        Field(ge=1, le=1.5, description="the factor is drawn uniformly from 2 - max_factor to max_factor"),
        Search(1.0, 1.3),
    ] = 1.1
    knee: Annotated[
        float,
        Field(
            gt=0,
            lt=1,
            description="bands below this fraction of the axis move by the factor; the others fill the rest of the axis",
        ),
    ] = 0.7

    def transform_batch(self, x_BCLM: Tensor, rng: BatchRng) -> Tensor:
        import torch

        from whet.methods.augment_audio.spectrogram import check_spectrogram

        check_spectrogram(x_BCLM, self.name)
        if self.max_factor == 1:
            return x_BCLM
        B, _, L, M = x_BCLM.shape
        factor_B1 = torch.from_numpy(rng.uniform(2 - self.max_factor, self.max_factor)).to(x_BCLM, non_blocking=True)[
            :, None
        ]
        position_M = torch.arange(M, device=x_BCLM.device, dtype=x_BCLM.dtype) / (M - 1)
        # The inverse of the paper's curve: the output at position p is the input at g(p).
        bend_B1 = self.knee * factor_B1.clamp(max=1)
        beyond = 1 - (1 - position_M) * (1 - bend_B1 / factor_B1) / (1 - bend_B1)
        source_BM = torch.where(position_M <= bend_B1, position_M / factor_B1, beyond) * (M - 1)
        lower_BM = source_BM.floor().clamp(0, M - 2)
        share = (source_BM - lower_BM)[:, None, None, :]
        index = lower_BM.long()[:, None, None, :].expand(B, 1, L, M)
        return x_BCLM.gather(3, index) * (1 - share) + x_BCLM.gather(3, index + 1) * share
