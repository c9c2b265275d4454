from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import ImageView, scaling


class VerticalFlip(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Flip some images top to bottom.

    Use when: up and down have the same meaning, as in views from above: waste on a belt, microscopy, satellite images.
    Do not use when: images have an up direction, such as sky and ground.
    Source: Shorten & Khoshgoftaar 2019, "A survey on image data augmentation for deep learning".
    Shapes: updates view.warp (B, 3, 3).
    """

    identity = {"prob": 0.0}
    order = 12

    prob: Annotated[
        float, Field(ge=0, le=1, description="probability that an image is flipped"), Search(choices=(0.0, 0.5))
    ] = 0.5

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        side_B = np.where(rng.bernoulli(self.prob), -1.0, 1.0)
        return view.warped_about_centre(scaling(np.ones(len(view)), side_B))
