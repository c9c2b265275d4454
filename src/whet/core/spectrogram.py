"""Information about spectrograms, for methods that mix audio."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


@dataclass(frozen=True)
class SpectrogramScale:
    """The scale of a normalised log-mel spectrogram: x = (log(mel, floored) - mean) / std.

    power: exponent of the magnitudes that are summed in a band, 2 for energies. floor: the logarithm is that of mel + floor (added)
    or of max(mel, floor). hertz_M, width_M: centre and width of each band, Hz; width_M is 1 where a band sums its frequencies
    instead of averaging them, so that energy * width is the total energy of the band. rate: of the waves, Hz.
    """

    mean: float
    std: float
    power: float
    floor: float
    added: bool
    hertz_M: np.ndarray
    width_M: np.ndarray
    rate: int

    def energy(self, x: Tensor) -> Tensor:
        """The energy of every cell, any shape."""
        mel = (x * self.std + self.mean).exp()
        return ((mel - self.floor) if self.added else mel).clamp(min=0) ** (2 / self.power)

    def normalised(self, energy: Tensor) -> Tensor:
        """The inverse of `energy`."""
        mel = energy ** (self.power / 2)
        return ((mel + self.floor if self.added else mel.clamp(min=self.floor)).log() - self.mean) / self.std


class NeedsSpectrogramScale(ABC):
    """A method that needs the scale of the spectrograms. The owner of the network's front calls `with_scale(front)` once and uses
    the returned method instead."""

    @abstractmethod
    def with_scale(self, front: HasScale) -> Self:
        """The same method with access to the scale."""


class HasScale(Protocol):
    def scale(self) -> SpectrogramScale:
        """The current scale. The mean and std may be estimated after the network was built."""
        ...
