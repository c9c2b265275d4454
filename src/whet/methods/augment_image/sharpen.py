from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import Filter, ImageView


class Sharpen(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Sharpen or smooth the image by a random strength.

    Use when: focus and cameras differ between images.
    Do not use when: fine texture distinguishes the classes and images are already soft.
    Source: Cubuk et al. 2019, arXiv:1805.09501; the definition is that of Pillow's ImageEnhance.Sharpness.
    Shapes: appends strengths (B,) to view.filters.
    """

    identity = {"max_change": 0.0}
    order = 35

    max_change: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="the strength is drawn uniformly from -max_change to max_change; -1 smooths with a 3x3 filter",
        ),
        Search(0.1, 1.0),
    ] = 0.5

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        if self.max_change == 0:
            return view
        return sharpened(view, rng.uniform(-self.max_change, self.max_change))


def sharpened(view: ImageView, strength_B: np.ndarray) -> ImageView:
    """(1 + s) image - s smoothed image; 0 leaves it unchanged."""
    return view.filtered(Filter("sharpen", strength_B))
