"""What a method that mixes audio must know of the spectrograms it is given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


@dataclass(frozen=True)
class SpectrogramScale:
    """What the cells of a normalised log-mel spectrogram stand for: x = (log(mel, floored) - mean) / std.

    power: of the magnitudes that a band sums, 2 for energies. floor: the logarithm is that of mel + floor (added) or of what is at
    least the floor. hertz_M, width_M: centre and width of each band, Hz; width_M is 1 where a band sums its frequencies instead of
    taking their mean, so that energy * width is what is heard in the band. rate: of the waves, Hz.
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
        """Of every cell, any shape."""
        mel = (x * self.std + self.mean).exp()
        return ((mel - self.floor) if self.added else mel).clamp(min=0) ** (2 / self.power)

    def normalised(self, energy: Tensor) -> Tensor:
        """`energy` turned round."""
        mel = energy ** (self.power / 2)
        return ((mel + self.floor if self.added else mel.clamp(min=self.floor)).log() - self.mean) / self.std


class KnowsSpectrogram(ABC):
    """A method that is told, before every batch, what the spectrograms stand for: whoever owns the network's front asks once for
    `hearing(scale)`, and uses what it gives in the method's place."""

    @abstractmethod
    def hearing(self, front: HasScale) -> Self:
        """The same method, told whom to ask."""


class HasScale(Protocol):
    def scale(self) -> SpectrogramScale:
        """What cells stand for now: mean and std may be found after the network was built."""
        ...
