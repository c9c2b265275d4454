from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import ImageView, translation


class Translate(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Translate the image horizontally and vertically by a random fraction of its size.

    Use when: objects are not always centred, and no crop method is in the recipe.
    Do not use when: the position in the image distinguishes the classes.
    Source: Simard, Steinkraus, Platt 2003, "Best practices for convolutional neural networks".
    Deviates: pixels outside the image are filled by reflection, not black.
    Shapes: updates view.warp (B, 3, 3).
    """

    identity = {"max_fraction": 0.0}
    order = 22

    max_fraction: Annotated[
        float,
        Field(ge=0, le=1, description="shifts are drawn uniformly from -max_fraction to max_fraction of the side"),
        Search(0.02, 0.3),
    ] = 0.1

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        x_B = rng.uniform(-self.max_fraction, self.max_fraction)
        return translated(view, x_B, rng.uniform(-self.max_fraction, self.max_fraction))


def translated(view: ImageView, x_fraction_B: np.ndarray, y_fraction_B: np.ndarray) -> ImageView:
    """Move the image right and down; 0 leaves it unchanged, bit for bit."""
    height, width = view.size
    return view.warped(translation(-x_fraction_B * width, -y_fraction_B * height))
