from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import GREY, ImageView


class Contrast(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Change the contrast of the image by a random factor, relative to its mean grey.

    Use when: lighting, haze or cameras differ between images.
    Do not use when: contrast distinguishes the classes.
    Source: Howard 2013, arXiv:1312.5402 (as augmentation); the definition is that of Pillow's ImageEnhance.Contrast.
    Deviates: the mean grey is computed from every fourth row and not rounded. Values are not clipped before the next colour
    operation.
    Shapes: updates view.colour (B, 3, 7).
    """

    identity = {"max_change": 0.0}
    order = 31

    max_change: Annotated[
        float,
        Field(ge=0, le=1, description="the factor is drawn uniformly from 1 - max_change to 1 + max_change"),
        Search(0.05, 0.6),
    ] = 0.3

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        if self.max_change == 0:
            return view
        return contrasted(view, rng.uniform(1 - self.max_change, 1 + self.max_change))


def contrasted(view: ImageView, factor_B: np.ndarray) -> ImageView:
    """x' = f x + (1 - f) grey(mean of the image)."""
    f = factor_B[:, None, None]
    return view.coloured(f * np.eye(3), (1 - f) * np.tile(GREY, (3, 1)))
