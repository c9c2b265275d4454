from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import GREY, ImageView


class Saturation(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Change the saturation of the image by a random factor.

    Use when: cameras and lighting differ between images.
    Do not use when: saturation distinguishes the classes. It has no effect on grey images.
    Source: Howard 2013, arXiv:1312.5402 (as augmentation); the definition is that of Pillow's ImageEnhance.Color.
    Deviates: values are not clipped before the next colour operation.
    Shapes: updates view.colour (B, 3, 7).
    """

    identity = {"max_change": 0.0}
    order = 32

    max_change: Annotated[
        float,
        Field(ge=0, le=1, description="the factor is drawn uniformly from 1 - max_change to 1 + max_change"),
        Search(0.05, 0.8),
    ] = 0.3

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        if self.max_change == 0:
            return view
        return saturated(view, rng.uniform(1 - self.max_change, 1 + self.max_change))


def saturated(view: ImageView, factor_B: np.ndarray) -> ImageView:
    """x' = f x + (1 - f) grey(x)."""
    f = factor_B[:, None, None]
    return view.coloured(f * np.eye(3) + (1 - f) * np.tile(GREY, (3, 1)))
