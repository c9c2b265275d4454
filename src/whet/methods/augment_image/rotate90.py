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
    """Turn some images by one, two or three quarters.

    Use when: no direction is up: things seen from above, microscopy, satellite images.
    Do not use when: images have a sky and a ground.
    Source: Dieleman, Willett, Dambre 2015, arXiv:1503.07077, for the use.
    Deviates: a frame that is not square keeps its shape; the turned image is squashed into it.
    Shapes: draws into view.warp (B, 3, 3).
    """

    identity = {"prob": 0.0}
    order = 13

    prob: Annotated[float, Field(ge=0, le=1, description="share of images turned"), Search(0.0, 0.75)] = 0.75

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        quarters_B = (1 + rng.integers(3)) * rng.bernoulli(self.prob)
        return quarter_turned(view, quarters_B)


def quarter_turned(view: ImageView, quarters_B: np.ndarray) -> ImageView:
    """The image turned counter-clockwise by whole quarters, exactly; 0 leaves it as it is, bit for bit."""
    height, width = view.size
    turns = np.array([[[1, 0], [0, 1]], [[0, -1], [1, 0]], [[-1, 0], [0, -1]], [[0, 1], [-1, 0]]], dtype=float)
    matrix = np.tile(np.eye(3), (len(view), 1, 1))
    matrix[:, :2, :2] = turns[quarters_B] * np.array([[1, width / height], [height / width, 1]])
    return view.warped_about_centre(matrix)
