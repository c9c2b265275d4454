from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import Cover, ImageView


class Cutout(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Cover some images with a square of fixed size at a random position, which may extend past the border.

    Use when: training is from scratch on small images.
    Do not use when: objects are small. The square may hide an object completely.
    Source: DeVries & Taylor 2017, arXiv:1708.04552.
    Shapes: appends boxes (B, 1, 4) in output pixels to view.covers.
    """

    identity = {"prob": 0.0}
    order = 61

    prob: Annotated[
        float, Field(ge=0, le=1, description="probability that an image is changed; 1 in the source"), Search(0.0, 1.0)
    ] = 1.0
    side: Annotated[
        float,
        Field(gt=0, le=1, description="side of the square, as a fraction of the shorter side of the image"),
        Search(0.1, 0.6),
    ] = 0.25
    fill: Annotated[
        Literal["mean", "black", "noise"],
        Field(description="fill with the mean colour of the image, black, or random pixels"),
    ] = "mean"

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        height, width = view.size
        chosen_B, x_B, y_B, key_B = rng.bernoulli(self.prob), rng.uniform(), rng.uniform(), rng.integers(2**32)
        side = max(1, round(self.side * min(view.size)))
        left_B, top_B = np.floor(x_B * width) - side // 2, np.floor(y_B * height) - side // 2
        box_B4 = np.stack([left_B, top_B, left_B + side, top_B + side], axis=1)
        box_B4 = np.clip(box_B4, 0, [width, height, width, height]) * chosen_B[:, None]
        return view.covered(Cover(box_B4[:, None], self.fill, key_B))
