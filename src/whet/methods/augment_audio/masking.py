"""Masks that set parts of a spectrogram to its mean. Shared by several methods."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from whet.core.rng import BatchRng


def random_masks(rng: BatchRng, count: int, max_fraction: float, size: int) -> np.ndarray:
    """Return bool (B, size) with `count` masks, each of a width drawn uniformly from 0 to max_fraction of the size, rounded."""
    width_BN = np.rint(rng.uniform(0, max_fraction, (count,)) * size)
    first_BN = np.floor(rng.uniform(shape=(count,)) * (size - width_BN + 1))
    position = np.arange(size)
    return ((position >= first_BN[..., None]) & (position < (first_BN + width_BN)[..., None])).any(axis=1)


def masked(x_BCLM: Tensor, time_BL: np.ndarray | None = None, bands_BM: np.ndarray | None = None) -> Tensor:
    """Set these frames and bands of each sample to the mean of its spectrogram."""
    hidden = torch.zeros_like(x_BCLM, dtype=torch.bool)
    if time_BL is not None:
        hidden |= torch.from_numpy(time_BL).to(x_BCLM.device, non_blocking=True)[:, None, :, None]
    if bands_BM is not None:
        hidden |= torch.from_numpy(bands_BM).to(x_BCLM.device, non_blocking=True)[:, None, None, :]
    return torch.where(hidden, x_BCLM.mean(dim=(1, 2, 3), keepdim=True), x_BCLM)
