"""Input check for methods that change spectrograms."""

from __future__ import annotations

from torch import Tensor

from whet.core.errors import RecipeError


def check_spectrogram(x: Tensor, name: str) -> None:
    """Raise RecipeError for waveforms (B, T), which some networks take as input."""
    if x.dim() != 4:
        raise RecipeError(
            f"{name} changes spectrograms, but this network takes waveforms; remove {name} or use random_gap instead"
        )
