"""Audio clips: heat over the log-mel spectrogram as the network heard it."""

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

_LOUDEST = 60.0  # decibels of a spectrogram that are shown
_HEIGHT, _WIDTH = 192, 384


@dataclass(frozen=True)
class AudioHeat:
    """wave: as the network heard it, float32 (T,), of `rate` samples a second. mel_LM: its log-mel spectrogram (frames, mels).
    heat_LM: what every place of it adds to the evidence for the class, float32; see `whet.explain.heat`."""

    wave: np.ndarray
    rate: int
    mel_LM: np.ndarray
    heat_LM: np.ndarray

    @property
    def nothing(self) -> bool:
        """Whether nothing in it speaks for the class."""
        return not bool((self.heat_LM > 0).any())

    def drawn(self) -> np.ndarray:
        """The heat over the spectrogram, time from left to right, low at the bottom, RGB uint8."""
        decibels = self.mel_LM.T[::-1] * (10 / np.log(10))
        loud = np.clip(1 + (decibels - decibels.max()) / _LOUDEST, 0, 1)
        grey = np.repeat((245 - 165 * loud).astype(np.uint8)[:, :, None], 3, axis=2)  # loud is dark, as on paper
        rows, columns = (np.arange(size) * count // size for size, count in zip((_HEIGHT, _WIDTH), grey.shape[:2]))
        return overlay(grey[rows][:, columns], stretched(self.heat_LM.T[::-1], _HEIGHT, _WIDTH))


def explain_audio(
    members: Sequence[Member], wave: np.ndarray, rate: int, mel_11LM: Tensor, x_11LM: Tensor, k: int
) -> AudioHeat:
    """The mean of the members' heat for class k. mel_11LM: the spectrogram; x_11LM: the same as the networks take it. Raises
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
            f"{member.net.spec.architecture} has no map of 4 x 4 places or more that its answer to this audio clip is made from"
        )
    if not in_patches:
        return stretched(found[0].numpy(), frames, mels)
    # The patches overlap: each one's heat goes where the patch was cut from, and adds up.
    heat_LM = np.zeros((PATCH + STEP * (parts - 1), mels), dtype=np.float32)
    for number, heat_hw in enumerate(found.numpy()):
        heat_LM[STEP * number : STEP * number + PATCH] += stretched(heat_hw, PATCH, mels)
    return heat_LM[:frames]
