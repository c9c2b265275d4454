from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import ImageView


class Brightness(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Make the image darker or brighter by a random factor.

    Use when: lighting differs between images.
    Do not use when: brightness distinguishes the classes.
    Source: Howard 2013, arXiv:1312.5402 (as augmentation); the factor is that of Pillow's ImageEnhance.Brightness.
    Shapes: updates view.colour (B, 3, 7).
    """

    identity = {"max_change": 0.0}
    order = 30

    max_change: Annotated[
        float,
        Field(ge=0, le=1, description="the factor is drawn uniformly from 1 - max_change to 1 + max_change"),
        Search(0.05, 0.6),
    ] = 0.3

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        if self.max_change == 0:
            return view
        return brightened(view, rng.uniform(1 - self.max_change, 1 + self.max_change))


def brightened(view: ImageView, factor_B: np.ndarray) -> ImageView:
    """x' = f x."""
    return view.coloured(factor_B[:, None, None] * np.eye(3))
