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
    """Stretch or squeeze the frequency axis of each spectrogram, as a longer or shorter vocal tract would.

    Use when: speakers or animals of other sizes will be heard than those at hand.
    Do not use when: the exact place of a band tells the classes apart.
    Source: Jaitly and Hinton 2013, "Vocal tract length perturbation (VTLP) improves speech recognition".
    Deviates: the warp is piecewise linear over the mel bands of the finished spectrogram, not over hertz before the bands are made.
    Shapes: spectrograms float (B, 1, frames, mels) in and out.
    """

    identity = {"max_factor": 1.0}
    order = 84

    max_factor: Annotated[
        float, Field(ge=1, le=1.5, description="the factor is uniform in 2 - this … this"), Search(1.0, 1.3)
    ] = 1.1
    knee: Annotated[
        float,
        Field(gt=0, lt=1, description="up to this share of the bands they move by the factor; the rest fills the axis"),
    ] = 0.7

    def transform_batch(self, x_BCLM: Tensor, rng: BatchRng) -> Tensor:
        import torch

        from whet.methods.augment_audio.spectrogram import check_spectrogram

        check_spectrogram(x_BCLM, self.name)
        if self.max_factor == 1:
            return x_BCLM
        B, _, L, M = x_BCLM.shape
        factor_B1 = torch.from_numpy(rng.uniform(2 - self.max_factor, self.max_factor)).to(x_BCLM)[:, None]
        place_M = torch.arange(M, device=x_BCLM.device, dtype=x_BCLM.dtype) / (M - 1)
        # The paper's curve turned round: the band shown at place p is that at g(p).
        bend_B1 = self.knee * factor_B1.clamp(max=1)
        beyond = 1 - (1 - place_M) * (1 - bend_B1 / factor_B1) / (1 - bend_B1)
        source_BM = torch.where(place_M <= bend_B1, place_M / factor_B1, beyond) * (M - 1)
        lower_BM = source_BM.floor().clamp(0, M - 2)
        share = (source_BM - lower_BM)[:, None, None, :]
        index = lower_BM.long()[:, None, None, :].expand(B, 1, L, M)
        return x_BCLM.gather(3, index) * (1 - share) + x_BCLM.gather(3, index + 1) * share
