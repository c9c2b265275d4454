"""Converts waves to log-mel spectrograms, in torch, in batches on the device."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class MelSettings:
    """Settings of a spectrogram.

    rate: of the waves, Hz. n_fft, window, hop: samples; the Hann window is periodic and may be shorter than the transform.
    low, high: the outer edges of the mel bands, Hz. scale: "htk" (2595 log10(1 + f / 700)) or "slaney" (linear below 1 kHz).
    norm: "slaney" gives every band the same area, None the same height. slopes: whether the triangular bands are linear in hertz
    (librosa) or in mel (TensorFlow). power: 1 for magnitudes, 2 for energies. floor: the logarithm is that of mel + floor
    ("add") or of max(mel, floor) ("least"). centred: frame t is centred at sample t * hop, with zero padding at the ends; otherwise
    it starts there. symmetric: use a symmetric Hann window instead of a periodic one. levelled: subtract the mean of every frame.
    emphasis: the share of the previous sample that is subtracted from each one, within the frame (Kaldi's preemphasis).
    """

    rate: int = 16_000
    n_fft: int = 1024
    window: int = 1024
    hop: int = 320
    mels: int = 64
    low: float = 20.0
    high: float = 8_000.0
    scale: Literal["htk", "slaney"] = "slaney"
    norm: Literal["slaney"] | None = "slaney"
    slopes: Literal["hertz", "mel"] = "hertz"
    power: float = 2.0
    floor: float = 1e-6
    floored: Literal["add", "least"] = "add"
    centred: bool = True
    symmetric: bool = False
    levelled: bool = False
    emphasis: float = 0.0

    def at_rate(self, rate: int) -> MelSettings:
        """The same times and bands for waves of another rate, without frequencies above half of it."""
        if rate == self.rate:
            return self
        window, hop = (round(count * rate / self.rate) for count in (self.window, self.hop))
        n_fft = max(window, round(self.n_fft * rate / self.rate))
        return replace(self, rate=rate, window=window, hop=hop, n_fft=n_fft, high=min(self.high, rate / 2))

    def frames(self, samples: int) -> int:
        """The number of frames of a wave with this many samples."""
        if self.centred:
            return 1 + samples // self.hop
        return 1 + max(0, samples - self.window) // self.hop

    @property
    def silence(self) -> float:
        """The value of every cell for silence."""
        return float(np.log(np.float32(self.floor)))


YAMNET_MEL = MelSettings(
    n_fft=512, window=400, hop=160, low=125.0, high=7_500.0, scale="htk", norm=None, slopes="mel", power=1.0, floor=1e-3,
    centred=False,
)  # fmt: skip
"""The front end that YAMNet was trained with. Source: Hershey et al. 2017, arXiv:1609.09430; tensorflow/models, audioset/yamnet."""


KALDI_MEL = MelSettings(
    n_fft=512, window=400, hop=160, mels=128, low=20.0, high=8_000.0, scale="htk", norm=None, slopes="mel", floor=2.0**-23,
    floored="least", centred=False, symmetric=True, levelled=True, emphasis=0.97,
)  # fmt: skip
"""Kaldi's filter bank, as the Audio Spectrogram Transformer was trained with. Source: Gong et al. 2021, arXiv:2104.01778."""

_CACHED = 1 << 18  # numbers


class LogMel(nn.Module):
    """Waves (B, T), float -> (B, 1, frames, mels), float32: the natural logarithm of the mel spectrogram. A wave that
    is shorter than a window is padded with zeros at its end."""

    window: Tensor
    bands_FM: Tensor

    def __init__(self, settings: MelSettings) -> None:
        super().__init__()
        if settings.window > settings.n_fft:
            raise ValueError(f"window {settings.window} must not be longer than n_fft {settings.n_fft}")
        self.settings = settings
        # Neither is learned: both follow from the settings, so they are not saved.
        window = torch.hann_window(settings.window, periodic=not settings.symmetric, dtype=torch.float64).float()
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("bands_FM", torch.from_numpy(mel_bands(settings)).float(), persistent=False)

    def forward(self, wave_BT: Tensor) -> Tensor:
        with _without_autocast(wave_BT.device.type):
            mel_BLM, floor = self.mel(wave_BT), self.settings.floor
            mel_BLM = mel_BLM + floor if self.settings.floored == "add" else mel_BLM.clamp_min(floor)
            return mel_BLM.log_()[:, None]

    def mel(self, wave_BT: Tensor) -> Tensor:
        """The mel spectrogram itself, (B, frames, mels)."""
        if wave_BT.device.type != "cpu" or not len(wave_BT):
            return self._mel(wave_BT)
        # As many waves at a time as fit into the processor's cache: half the time of a whole batch.
        few = max(1, _CACHED // (self.settings.n_fft * self.settings.frames(wave_BT.shape[1])))
        return torch.cat([self._mel(part) for part in wave_BT.split(few)])

    def _mel(self, wave_BT: Tensor) -> Tensor:
        s = self.settings
        wave_BT = wave_BT.float()
        if s.centred:
            wave_BT = F.pad(wave_BT, (s.window // 2, s.window - s.window // 2))
        elif wave_BT.shape[1] < s.window:
            wave_BT = F.pad(wave_BT, (0, s.window - wave_BT.shape[1]))
        frames_BLW = wave_BT.unfold(1, s.window, s.hop)[:, : s.frames(wave_BT.shape[1] - s.window * s.centred)]
        if s.levelled:
            frames_BLW = frames_BLW - frames_BLW.mean(dim=2, keepdim=True)
        if s.emphasis:
            before_BLW = torch.cat([frames_BLW[..., :1], frames_BLW[..., :-1]], dim=2)
            frames_BLW = frames_BLW - s.emphasis * before_BLW
        # The position of a short window within the transform affects only the phase.
        spectrum_BLF = torch.fft.rfft(frames_BLW * self.window, n=s.n_fft)
        real_BLF, imaginary_BLF = spectrum_BLF.real, spectrum_BLF.imag
        energy_BLF = torch.addcmul(real_BLF * real_BLF, imaginary_BLF, imaginary_BLF)
        if s.power != 2:
            energy_BLF = energy_BLF.sqrt() if s.power == 1 else energy_BLF ** (s.power / 2)
        return energy_BLF @ self.bands_FM


def _without_autocast(device: str) -> AbstractContextManager[Any]:
    """Disable autocast within the block, if it is enabled. Otherwise do nothing: leaving the outermost autocast context clears the
    weight cache of all threads, including that of a network training in another thread."""
    return torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext()


def mel_bands(settings: MelSettings) -> np.ndarray:
    """The weight of every frequency of the transform in every band, float64 (n_fft // 2 + 1, mels)."""
    s = settings
    if not 0 <= s.low < s.high <= s.rate / 2:
        raise ValueError(f"low {s.low} and high {s.high} must lie in 0 … {s.rate / 2}, half the rate")
    hertz_F = np.linspace(0, s.rate / 2, s.n_fft // 2 + 1)
    edge_mel, edge_hertz = _edges_mel(s), band_edges(s)
    place_F, edge = (hertz_F, edge_hertz) if s.slopes == "hertz" else (to_mel(hertz_F, s.scale), edge_mel)
    rising_FM = (place_F[:, None] - edge[:-2]) / (edge[1:-1] - edge[:-2])
    falling_FM = (edge[2:] - place_F[:, None]) / (edge[2:] - edge[1:-1])
    bands_FM = np.maximum(0, np.minimum(rising_FM, falling_FM))
    if s.norm == "slaney":
        bands_FM *= 2 / (edge_hertz[2:] - edge_hertz[:-2])
    return bands_FM


def band_edges(settings: MelSettings) -> np.ndarray:
    """The edges and centres of the bands, Hz, float64 (mels + 2,): band m spans edges m … m + 2."""
    return to_hertz(_edges_mel(settings), settings.scale)


def _edges_mel(settings: MelSettings) -> np.ndarray:
    low_mel, high_mel = to_mel(np.array([settings.low, settings.high]), settings.scale).tolist()
    return np.linspace(low_mel, high_mel, settings.mels + 2)


_LINEAR = 200 / 3  # hertz per mel below 1 kHz on Slaney's scale
_LOG_STEP = np.log(6.4) / 27


def to_mel(hertz: np.ndarray, scale: Literal["htk", "slaney"]) -> np.ndarray:
    if scale == "htk":
        return 2595 * np.log10(1 + hertz / 700)
    return np.where(hertz < 1000, hertz / _LINEAR, 15 + np.log(np.maximum(hertz, 1000) / 1000) / _LOG_STEP)


def to_hertz(mel: np.ndarray, scale: Literal["htk", "slaney"]) -> np.ndarray:
    if scale == "htk":
        return 700 * (10 ** (mel / 2595) - 1)
    return np.where(mel < 15, mel * _LINEAR, 1000 * np.exp(_LOG_STEP * (mel - 15)))
