from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import ImageView, shearing


class Shear(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Shear the image horizontally and vertically by random angles, about its centre.

    Use when: objects are seen from varying angles; also for handwriting.
    Do not use when: right angles distinguish the classes.
    Source: Simard, Steinkraus, Platt 2003, "Best practices for convolutional neural networks".
    Deviates: pixels outside the image are filled by reflection, not black.
    Shapes: updates view.warp (B, 3, 3).
    """

    identity = {"max_degrees": 0.0}
    order = 21

    max_degrees: Annotated[
        float,
        Field(ge=0, lt=60, description="both angles are drawn uniformly from -max_degrees to max_degrees"),
        Search(2.0, 25.0),
    ] = 5.0

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        x_B = rng.uniform(-self.max_degrees, self.max_degrees)
        return sheared(view, x_B, rng.uniform(-self.max_degrees, self.max_degrees))


def sheared(view: ImageView, x_degrees_B: np.ndarray, y_degrees_B: np.ndarray) -> ImageView:
    """Shear the image; 0 leaves it unchanged, bit for bit."""
    return view.warped_about_centre(shearing(x_degrees_B, y_degrees_B))
