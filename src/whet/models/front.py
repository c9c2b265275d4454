"""The front of a network: converts rendered samples to inputs of its backbone. It belongs to the network and is saved with it.

Rendered samples come from the loader, on the host. `receive` converts them to a tensor on the device, in the loader's threads.
SAMPLE methods may transform this tensor, and `forward` converts it to the input of the backbone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whet.core.spectrogram import SpectrogramScale
from whet.models.mel import LogMel, MelSettings, band_edges
from whet.models.mel_convolution import LogMelByConvolution
from whet.models.tokens import Tokens


class Front(nn.Module):
    """Base class of the fronts. `like`: whether two networks accept the same inputs."""

    def receive(self, content: Any, size: int = 0) -> Tensor:
        """Rendered samples of one batch -> a tensor on the front's device, one row per sample. size: the maximum number of tokens
        of a text; images and audio clips already have their size. Called by several threads at once while the network trains: it
        must not change any state."""
        raise NotImplementedError

    def seen(self, sample: Any, received: Tensor) -> Any:
        """The displayed form of a rendered sample that was transformed after `receive`."""
        raise NotImplementedError

    def blank(self, batch: int, size: int) -> Tensor:
        """Blank inputs of the backbone, to test a network."""
        raise NotImplementedError

    def like(self, other: Front) -> bool:
        raise NotImplementedError

    def save(self, folder: Path) -> None:
        """Write everything that the spec does not contain to the network's folder."""

    def whole(self) -> nn.Module:
        """`receive` and `forward` in one module, for export: a batch of rendered samples (pixels uint8 (B, H, W, 3), token ids
        int64 (B, L), waves float32 (B, T)) -> inputs of the backbone."""
        raise NotImplementedError


class ImageFront(Front):
    """Receives pixels, uint8 (B, H, W, 3), as (B, 3, H, W), channels last in memory, and normalises them by mean and std, three
    numbers each on the scale 0…1."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def receive(self, content: np.ndarray, size: int = 0) -> Tensor:
        return to_device(torch.from_numpy(content), self.mean.device).permute(0, 3, 1, 2)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        return normalise(images_BCHW.permute(0, 2, 3, 1), self.mean.view(3), self.std.view(3))

    def whole(self) -> nn.Module:
        return _Pixels(self.mean, self.std)

    def blank(self, batch: int, size: int) -> Tensor:
        blank = torch.zeros((batch, 3, size, size), device=self.mean.device)
        return blank.contiguous(memory_format=torch.channels_last)

    def like(self, other: Front) -> bool:
        return isinstance(other, ImageFront) and str(self) == str(other)

    def extra_repr(self) -> str:
        return f"mean {_numbers(self.mean)}, std {_numbers(self.std)}"


class TextFront(Front):
    """Converts texts to token ids, int64 (B, L), padded to the longest of the batch."""

    place: Tensor

    def __init__(self, tokens: Tokens) -> None:
        super().__init__()
        self.tokens = tokens
        self.register_buffer("place", torch.zeros(0), persistent=False)  # tracks the device

    def receive(self, content: Sequence[str], size: int = 0) -> Tensor:
        return to_device(torch.from_numpy(self.tokens.encode(content, size)), self.place.device)

    def forward(self, ids_BL: Tensor) -> Tensor:
        return ids_BL

    def whole(self) -> nn.Module:
        return nn.Identity()

    def seen(self, sample: str, received: Tensor) -> str:
        return self.tokens.decode(received.tolist())

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """The number of tokens of each text."""
        return self.tokens.lengths(texts)

    def blank(self, batch: int, size: int) -> Tensor:
        return torch.full((batch, size), self.tokens.unknown_id, device=self.place.device)

    def like(self, other: Front) -> bool:
        return isinstance(other, TextFront) and self.tokens == other.tokens

    def save(self, folder: Path) -> None:
        self.tokens.save(folder)

    @classmethod
    def load(cls, folder: Path) -> TextFront:
        return cls(Tokens.load(folder))

    def extra_repr(self) -> str:
        return f"{len(self.tokens):,} tokens"


class AudioFront(Front):
    """Converts waves, float32 (B, T) at `rate`, to log-mel spectrograms (B, 1, frames, mels), normalised by mean and std, one
    number each (0 and 1 leave them unchanged). frames: the number of frames the backbone needs, by truncation or zero padding;
    None for any number."""

    mean: Tensor
    std: Tensor

    def __init__(self, mel: MelSettings, mean: float = 0.0, std: float = 1.0, frames: int | None = None) -> None:
        super().__init__()
        self.log_mel, self.frames = LogMel(mel), frames
        self.register_buffer("mean", torch.tensor(mean), persistent=False)
        self.register_buffer("std", torch.tensor(std), persistent=False)

    @property
    def rate(self) -> int:
        return self.log_mel.settings.rate

    def receive(self, content: np.ndarray, size: int = 0) -> Tensor:
        return self.log_mel(to_device(torch.from_numpy(content), self.mean.device))

    def forward(self, mel_BCLM: Tensor) -> Tensor:
        if self.frames is not None:
            mel_BCLM = F.pad(mel_BCLM, (0, 0, 0, self.frames - mel_BCLM.shape[2]))  # negative padding truncates
        return (mel_BCLM - self.mean) / self.std

    def whole(self) -> nn.Module:
        return _Waves(LogMelByConvolution(self.log_mel), self)

    def seen(self, sample: np.ndarray, received: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """The wave, and its spectrogram (frames, mels)."""
        return sample, received[0].cpu().numpy()

    def standardise(self, mel_BCLM: Tensor) -> None:
        """Set the mean and standard deviation to those of these spectrograms."""
        self.mean.fill_(mel_BCLM.mean())
        self.std.fill_(mel_BCLM.std())

    def scale(self) -> SpectrogramScale:
        """The scale of the spectrograms with the current normalisation."""
        s = self.log_mel.settings
        edge = band_edges(s)
        width_M = (edge[2:] - edge[:-2]) / 2 if s.norm == "slaney" else np.ones(s.mels)
        return SpectrogramScale(
            float(self.mean), float(self.std), s.power, s.floor, s.floored == "add", edge[1:-1], width_M, s.rate
        )

    def blank(self, batch: int, size: int) -> Tensor:
        settings = self.log_mel.settings
        frames = self.frames or settings.frames(round(size * settings.rate / 1000))
        return torch.zeros((batch, 1, frames, settings.mels), device=self.mean.device)

    def like(self, other: Front) -> bool:
        return isinstance(other, AudioFront) and str(self) == str(other)

    def extra_repr(self) -> str:
        settings = self.log_mel.settings
        cut = f", {self.frames} frames" if self.frames is not None else ""
        return f"{settings}, mean {float(self.mean):.4g}, std {float(self.std):.4g}{cut}"


class WaveFront(AudioFront):
    """Passes waves through, float32 (B, T) at `rate`, each standardised to mean 0 and standard deviation 1 if `level` is true, and
    padded to at least `least` samples. Spectrograms are used for display only."""

    def __init__(self, rate: int, *, level: bool, least: int) -> None:
        super().__init__(MelSettings().at_rate(rate))
        self.level, self.least = level, least

    def receive(self, content: np.ndarray, size: int = 0) -> Tensor:
        return to_device(torch.from_numpy(content), self.mean.device)

    def forward(self, wave_BT: Tensor) -> Tensor:
        if self.level:
            variance_B1 = wave_BT.var(dim=1, keepdim=True, correction=0)
            wave_BT = (wave_BT - wave_BT.mean(dim=1, keepdim=True)) / (variance_B1 + 1e-7).sqrt()
        return F.pad(wave_BT, (0, max(0, self.least - wave_BT.shape[1])))

    def whole(self) -> nn.Module:
        return _Waves(nn.Identity(), self)

    def seen(self, sample: np.ndarray, received: Tensor) -> tuple[np.ndarray, np.ndarray]:
        return sample, self.log_mel(received[None])[0, 0].cpu().numpy()

    def blank(self, batch: int, size: int) -> Tensor:
        return torch.zeros((batch, max(self.least, round(size * self.rate / 1000))), device=self.mean.device)

    def extra_repr(self) -> str:
        return f"waves at {self.rate} Hz{', each standardised' if self.level else ''}"


class _Pixels(nn.Module):
    """Pixels, uint8 (B, H, W, 3) -> (pixel / 255 - mean) / std, float32 (B, 3, H, W)."""

    scale: Tensor
    shift: Tensor

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", 1 / (255 * std), persistent=False)
        self.register_buffer("shift", -mean / std, persistent=False)

    def forward(self, images_BHWC: Tensor) -> Tensor:
        return images_BHWC.permute(0, 3, 1, 2).float() * self.scale + self.shift


class _Waves(nn.Module):
    """Waves, float32 (B, T) -> inputs of the backbone. first: converts them to what the front's `forward` accepts."""

    def __init__(self, first: nn.Module, front: AudioFront) -> None:
        super().__init__()
        self.first, self.front = first, front

    def forward(self, wave_BT: Tensor) -> Tensor:
        return self.front(self.first(wave_BT))


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Move the tensor to this device; for a GPU from pinned memory, without blocking the calling thread."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def _numbers(three: Tensor) -> str:
    return " ".join(f"{number:.4g}" for number in three.flatten().tolist())


def normalise(images_BHWC: Tensor, mean_3: Tensor, std_3: Tensor) -> Tensor:
    """(pixel / 255 - mean) / std of uint8 pixels (B, H, W, 3), as float32 (B, 3, H, W), channels last in memory."""
    B, H, W, _ = images_BHWC.shape
    scale, shift = (1 / (255 * std_3)).repeat(W), (-mean_3 / std_3).repeat(W)
    rows, out = images_BHWC.reshape(B, H, 3 * W), torch.empty((B, H, 3 * W), device=images_BHWC.device)
    # On a CPU image by image, so that the second pass reads the first one's result from the cache.
    pairs = zip(rows.unbind(), out.unbind()) if images_BHWC.device.type == "cpu" else [(rows, out)]
    for pixels, normal in pairs:
        normal.copy_(pixels)
        torch.addcmul(shift, normal, scale, out=normal)
    return out.view(B, H, W, 3).permute(0, 3, 1, 2)
