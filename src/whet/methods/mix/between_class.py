from __future__ import annotations

from typing import Annotated, Self

import numpy as np
import torch
from pydantic import Field, PrivateAttr
from torch import Tensor

from whet.core.batch import Batch
from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.spectrogram import HasScale, NeedsSpectrogramScale
from whet.core.stages import Mixes

_MIN_ENERGY = 1e-8  # -80 dB
_WINDOW_SAMPLES = 2048  # at 16 kHz


class BetweenClass(
    Method, Mixes, NeedsSpectrogramScale, family="mix", tasks={"audio-classification", "image-classification"}
):
    """Mix two samples of different classes with a correction for loudness, so that each is perceived in proportion to its target.

    Use when: audio clips differ greatly in loudness, examples are few, and training from scratch is long.
    Do not use when: training is very short, or loudness distinguishes the classes.
    Source: Tokozume, Ushiku, Harada 2018, arXiv:1711.10282 (audio) and arXiv:1711.10284 (images, BC+).
    Deviates: spectrograms are mixed by adding the energies of their cells. On average this equals adding waveforms. Networks that
    take waveforms get the sum of the waveforms. A mixed image has the weighted mean of the two image means, because images are not
    shifted to zero mean at prediction. The loss is cross-entropy; the paper's KL divergence differs from it by a constant.
    Shapes: batch.x float (B, ...), targets (B, K): the share r is uniform in 0 … 1; x is (p a + (1 - p) b) / sqrt(p^2 + (1 - p)^2)
    with p = 1 / (1 + g_a / g_b (1 - r) / r). g is the A-weighted amplitude of the loudest moment, or the standard deviation of an
    image.
    """

    identity = {"prob": 0.0}
    order = 20
    conflicts = frozenset({"manifold_mixup", "mixup"})

    prob: Annotated[float, Field(ge=0, le=1, description="probability that a sample is mixed"), Search(0.2, 1.0)] = 1.0

    _front: HasScale | None = PrivateAttr(None)

    def with_scale(self, front: HasScale) -> Self:
        bound = self.model_copy()
        bound._front = front
        return bound

    def apply(self, batch: Batch, rng: BatchRng) -> Batch:
        if self.prob == 0:
            return batch
        partner = other_class(batch.targets.probs_BK, rng)
        share = np.where(rng.bernoulli(self.prob), rng.uniform(), 1.0)
        partner_B = torch.from_numpy(partner).to(batch.x.device, non_blocking=True)
        share_B = torch.from_numpy(share).to(batch.x, non_blocking=True)
        return batch.replace(x=self._mixed(batch.x, partner_B, share_B), targets=batch.targets.mix(partner_B, share_B))

    def _mixed(self, x: Tensor, partner_B: Tensor, share_B: Tensor) -> Tensor:
        unmixed = (share_B == 1).view(-1, *[1] * (x.dim() - 1))
        if self._front is None:  # images
            mean = x.mean(dim=(1, 2, 3), keepdim=True)
            own, other = weights(x.std(dim=(1, 2, 3), correction=0), partner_B, share_B, x.dim())
            share = share_B.view_as(unmixed)
            level = share * mean + (1 - share) * mean[partner_B]
            mixed = own * (x - mean) + other * (x - mean)[partner_B] + level
        elif x.dim() == 2:  # waveforms
            own, other = weights(wave_amplitude(x, self._front.scale().rate), partner_B, share_B, x.dim())
            mixed = own * x + other * x[partner_B]
        else:
            scale = self._front.scale()
            energy = scale.energy(x)
            weight_M = torch.from_numpy(a_weighting(scale.hertz_M) * scale.width_M).to(x, non_blocking=True)
            loudest_B = (energy[:, 0] * weight_M).sum(dim=2).amax(dim=1)
            own, other = weights(loudest_B.clamp(min=_MIN_ENERGY).sqrt(), partner_B, share_B, x.dim())
            mixed = scale.normalised(own**2 * energy + other**2 * energy[partner_B])
        return torch.where(unmixed, x, mixed)


def other_class(probs_BK: Tensor, rng: BatchRng) -> np.ndarray:
    """Return a permutation int64 (B,): the partner of each sample.

    Partners have different classes if no class fills more than half of the batch.
    """
    _, class_B = np.unique(probs_BK.cpu().numpy(), axis=0, return_inverse=True)
    class_B, key_B = class_B.reshape(-1), rng.uniform()
    first_C = np.full(class_B.max(initial=0) + 1, np.inf)
    np.minimum.at(first_C, class_B, key_B)  # the order of the classes is random too
    order = np.lexsort((key_B, first_C[class_B]))
    partner_B = np.empty(len(order), dtype=np.int64)
    partner_B[order] = np.roll(order, -np.bincount(class_B).max(initial=0))
    return partner_B


def weights(gain_B: Tensor, partner_B: Tensor, share_B: Tensor, dims: int) -> tuple[Tensor, Tensor]:
    """Factors of each sample and of its partner, shaped to broadcast to `dims` dimensions. gain_B: amplitudes."""
    gain_B = gain_B.clamp(min=torch.finfo(gain_B.dtype).tiny ** 0.5)
    # p = r g_partner / (r g_partner + (1 - r) g): the paper's formula, also defined at r = 0.
    own_B, other_B = share_B * gain_B[partner_B], (1 - share_B) * gain_B
    p_B = own_B / (own_B + other_B)
    length_B = (p_B**2 + (1 - p_B) ** 2).sqrt()
    shape = (-1, *[1] * (dims - 1))
    return (p_B / length_B).view(shape), ((1 - p_B) / length_B).view(shape)


def wave_amplitude(wave_BT: Tensor, rate: int) -> Tensor:
    """A-weighted amplitude of the loudest window of each waveform, (B,)."""
    window = max(2, min(round(_WINDOW_SAMPLES * rate / 16_000), wave_BT.shape[1]))
    frames_BLW = wave_BT.float().unfold(1, window, max(1, window // 2))
    spectrum = torch.fft.rfft(frames_BLW * torch.hann_window(window, device=wave_BT.device))
    weight_F = torch.from_numpy(a_weighting(np.linspace(0, rate / 2, window // 2 + 1))).to(wave_BT, non_blocking=True)
    return (spectrum.abs().square() * weight_F).sum(dim=2).amax(dim=1).clamp(min=_MIN_ENERGY).sqrt().to(wave_BT)


def a_weighting(hertz_F: np.ndarray) -> np.ndarray:
    """Perceived fraction of the energy at each frequency, (F,): the A curve of IEC 61672, 1 at 1 kHz and at least 1e-8."""
    square_F = np.maximum(hertz_F, 1.0) ** 2
    gain_F = (12_194**2 * square_F**2) / (
        (square_F + 20.6**2) * np.sqrt((square_F + 107.7**2) * (square_F + 737.9**2)) * (square_F + 12_194**2)
    )
    return np.maximum(gain_F**2 * 10**0.2, _MIN_ENERGY)
