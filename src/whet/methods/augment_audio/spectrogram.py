"""What methods that change spectrograms are given."""

from __future__ import annotations

from torch import Tensor

from whet.core.errors import RecipeError


def check_spectrogram(x: Tensor, name: str) -> None:
    """Refuse waves (B, T): some networks hear them as they are."""
    if x.dim() != 4:
        raise RecipeError(
            f"{name} changes spectrograms, but this network hears waves; leave {name} out, or take random_gap in its place"
        )
