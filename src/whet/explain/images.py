"""Pictures: heat over the picture as the network saw it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from whet.explain.heat import overlay, places, stretched
from whet.models.ensemble import Member


@dataclass(frozen=True)
class PictureHeat:
    """picture: as the network saw it, RGB uint8 (H, W, 3). heat_HW: what every place adds to the evidence for the class, float32;
    see `whet.explain.heat`."""

    picture: np.ndarray
    heat_HW: np.ndarray

    @property
    def nothing(self) -> bool:
        """Whether nothing in it speaks for the class."""
        return not bool((self.heat_HW > 0).any())

    def drawn(self) -> np.ndarray:
        """The heat over the picture, RGB uint8 (H, W, 3)."""
        return overlay(self.picture, self.heat_HW)


def explain_picture(members: Sequence[Member], picture: np.ndarray, x_1CHW: Tensor, k: int) -> PictureHeat:
    """The mean of the members' heat for class k. x_1CHW: the picture as the first of them takes it."""
    height, width = picture.shape[:2]
    heats = [stretched(places(member, x_1CHW, k)[0].numpy(), height, width) for member in members]
    return PictureHeat(picture, np.mean(heats, axis=0))
