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
    """Sharpen or soften the image by a random strength.

    Use when: focus and cameras change between images.
    Do not use when: fine texture tells the classes apart and images are already soft.
    Source: Cubuk et al. 2019, arXiv:1805.09501; the definition is that of Pillow's ImageEnhance.Sharpness.
    Shapes: draws into view.filters, strength (B,).
    """

    identity = {"max_change": 0.0}
    order = 35

    max_change: Annotated[
        float, Field(ge=0, le=1, description="strengths are uniform between minus and plus this; -1 is the 3x3 smoothing"),
        Search(0.1, 1.0),
    ] = 0.5  # fmt: skip

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        if self.max_change == 0:
            return view
        return sharpened(view, rng.uniform(-self.max_change, self.max_change))


def sharpened(view: ImageView, strength_B: np.ndarray) -> ImageView:
    """(1 + s) image - s smoothed image; 0 leaves it as it is."""
    return view.filtered(Filter("sharpen", strength_B))
