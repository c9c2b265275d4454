from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import ImageView


class Rotate90(
    Method, Draws, family="augment", name="rotate90", tasks={"image-classification", "semantic-segmentation"}
):
    """Rotate some images by 90, 180 or 270 degrees.

    Use when: images have no up direction: views from above, microscopy, satellite images.
    Do not use when: images have an up direction, such as sky and ground.
    Source: Dieleman, Willett, Dambre 2015, arXiv:1503.07077 (as augmentation).
    Deviates: an output that is not square keeps its shape; the rotated image is resized to fit.
    Shapes: updates view.warp (B, 3, 3).
    """

    identity = {"prob": 0.0}
    order = 13

    prob: Annotated[float, Field(ge=0, le=1, description="probability that an image is rotated"), Search(0.0, 0.75)] = (
        0.75
    )

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        quarters_B = (1 + rng.integers(3)) * rng.bernoulli(self.prob)
        return quarter_turned(view, quarters_B)


def quarter_turned(view: ImageView, quarters_B: np.ndarray) -> ImageView:
    """Rotate the image counter-clockwise by multiples of 90 degrees, exactly; 0 leaves it unchanged, bit for bit."""
    height, width = view.size
    turns = np.array([[[1, 0], [0, 1]], [[0, -1], [1, 0]], [[-1, 0], [0, -1]], [[0, 1], [-1, 0]]], dtype=float)
    matrix = np.tile(np.eye(3), (len(view), 1, 1))
    matrix[:, :2, :2] = turns[quarters_B] * np.array([[1, width / height], [height / width, 1]])
    return view.warped_about_centre(matrix)
