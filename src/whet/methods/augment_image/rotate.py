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
    """Rotate the image about its centre by a random angle.

    Use when: the camera or the object can be at an angle.
    Do not use when: orientation distinguishes the classes, as for 6 and 9 at large angles.
    Source: Simard, Steinkraus, Platt 2003, "Best practices for convolutional neural networks".
    Deviates: pixels outside the image are filled by reflection, not black.
    Shapes: updates view.warp (B, 3, 3).
    """

    identity = {"max_degrees": 0.0}
    order = 20

    max_degrees: Annotated[
        float,
        Field(ge=0, le=180, description="the angle is drawn uniformly from -max_degrees to max_degrees"),
        Search(2.0, 45.0),
    ] = 15.0

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        return rotated(view, rng.uniform(-self.max_degrees, self.max_degrees))


def rotated(view: ImageView, degrees_B: np.ndarray) -> ImageView:
    """Rotate the image counter-clockwise; 0 leaves it unchanged, bit for bit."""
    return view.warped_about_centre(rotation(degrees_B))
