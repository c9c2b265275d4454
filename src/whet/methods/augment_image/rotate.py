from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import ImageView, rotation


class Rotate(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Turn the image about its centre by a random angle.

    Use when: the camera or the object can be held at an angle.
    Do not use when: up and down carry the class, as for 6 and 9 at large angles.
    Source: Simard, Steinkraus, Platt 2003, "Best practices for convolutional neural networks".
    Deviates: what comes in from beyond the border is the mirrored image, not black.
    Shapes: draws into view.warp (B, 3, 3).
    """

    identity = {"max_degrees": 0.0}
    order = 20

    max_degrees: Annotated[
        float, Field(ge=0, le=180, description="angles are uniform between minus and plus this"), Search(2.0, 45.0)
    ] = 15.0

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        return rotated(view, rng.uniform(-self.max_degrees, self.max_degrees))


def rotated(view: ImageView, degrees_B: np.ndarray) -> ImageView:
    """The image turned counter-clockwise; 0 leaves it as it is, bit for bit."""
    return view.warped_about_centre(rotation(degrees_B))
