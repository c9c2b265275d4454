"""Explanations of images: a heat map over the network's input image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from whet.explain.evidence import CannotExplain
from whet.explain.heat import covered, of_tiles, overlay, places, stretched
from whet.models.ensemble import Member

_FINEST = 8  # cells per side for occlusion


@dataclass(frozen=True)
class ImageHeat:
    """image: the network's input, RGB uint8 (H, W, 3). heat_HW: the evidence of every pixel for the class, negative against it,
    float32; see `whet.explain.heat`. by_covering: whether it was computed by occlusion. by_tiles: whether it is that of whole
    tiles, by their attention."""

    image: np.ndarray
    heat_HW: np.ndarray
    by_covering: bool
    by_tiles: bool = False

    @property
    def nothing(self) -> bool:
        """Whether there is no positive evidence for the class."""
        return not bool((self.heat_HW > 0).any())

    def drawn(self) -> np.ndarray:
        """The heat map over the image, RGB uint8 (H, W, 3)."""
        return overlay(self.image, self.heat_HW)


def explain_image(
    members: Sequence[Member], image: np.ndarray, x_1CHW: Tensor, k: int, most_points: int = (_FINEST - 1) ** 2
) -> ImageHeat:
    """The mean heat map of the members for class k. x_1CHW: the input of the first network. most_points: maximum number of
    occlusions. Raises CannotExplain."""
    height, width = image.shape[:2]
    heats, by_covering, by_tiles = [], False, False
    for member in members:
        found = of_tiles(member, x_1CHW, k)
        by_tiles = by_tiles or found is not None
        found = places(member, x_1CHW, k) if found is None else found
        if found is None:
            found, by_covering = covered(member, x_1CHW, k, min(_FINEST, 1 + math.isqrt(most_points)))[None], True
        heats.append(stretched(found[0].numpy(), height, width))
    heat_HW = np.mean(heats, axis=0)
    if not np.isfinite(heat_HW).all():
        raise CannotExplain(f"{members[0].net.spec.architecture}: the evidence for a class is not finite")
    return ImageHeat(image, heat_HW, by_covering, by_tiles)
