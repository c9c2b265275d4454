"""Explanations of audio clips: a heat map over the log-mel spectrogram."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from whet.explain.evidence import CannotExplain
from whet.explain.heat import overlay, places, stretched
from whet.models.ensemble import Member
from whet.models.zoo_audio.yamnet import PATCH, STEP, YAMNet, patches

_LOUDEST = 60.0  # displayed range of a spectrogram in decibels
_HEIGHT, _WIDTH = 192, 384


@dataclass(frozen=True)
class AudioHeat:
    """wave: the network's input, float32 (T,), at `rate` samples per second. mel_LM: its log-mel spectrogram (frames, mels).
    heat_LM: the contribution of every cell to the evidence for the class, float32; see `whet.explain.heat`."""

    wave: np.ndarray
    rate: int
    mel_LM: np.ndarray
    heat_LM: np.ndarray

    @property
    def nothing(self) -> bool:
        """Whether there is no positive evidence for the class."""
        return not bool((self.heat_LM > 0).any())

    def drawn(self) -> np.ndarray:
        """The heat map over the spectrogram, time from left to right, low frequencies at the bottom, RGB uint8."""
        decibels = self.mel_LM.T[::-1] * (10 / np.log(10))
        loud = np.clip(1 + (decibels - decibels.max()) / _LOUDEST, 0, 1)
        grey = np.repeat((245 - 165 * loud).astype(np.uint8)[:, :, None], 3, axis=2)  # loud is dark
        rows, columns = (np.arange(size) * count // size for size, count in zip((_HEIGHT, _WIDTH), grey.shape[:2]))
        return overlay(grey[rows][:, columns], stretched(self.heat_LM.T[::-1], _HEIGHT, _WIDTH))


def explain_audio(
    members: Sequence[Member], wave: np.ndarray, rate: int, mel_11LM: Tensor, x_11LM: Tensor, k: int
) -> AudioHeat:
    """The mean heat map of the members for class k. mel_11LM: the spectrogram; x_11LM: the spectrogram as network input. Raises
    CannotExplain."""
    heats = [_over_spectrogram(member, x_11LM, k) for member in members]
    return AudioHeat(wave, rate, mel_11LM[0, 0].cpu().numpy(), np.mean(heats, axis=0))


def _over_spectrogram(member: Member, x_11LM: Tensor, k: int) -> np.ndarray:
    frames, mels = x_11LM.shape[2:]
    in_patches = isinstance(member.net.backbone, YAMNet)
    parts = patches(x_11LM).shape[1] if in_patches else 1
    found = places(member, x_11LM, k, parts)
    if found is None or not torch.isfinite(found).all():
        raise CannotExplain(
            f"{member.net.spec.architecture} has no feature map of at least 4 x 4 cells for this audio clip"
        )
    if not in_patches:
        return stretched(found[0].numpy(), frames, mels)
    # The patches overlap: the heat of each patch is added at its position.
    heat_LM = np.zeros((PATCH + STEP * (parts - 1), mels), dtype=np.float32)
    for number, heat_hw in enumerate(found.numpy()):
        heat_LM[STEP * number : STEP * number + PATCH] += stretched(heat_hw, PATCH, mels)
    return heat_LM[:frames]
