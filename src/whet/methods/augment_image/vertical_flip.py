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
    """Show some images mirrored top to bottom.

    Use when: up and down mean the same, as for things seen from above: waste on a belt, microscopy, satellite images.
    Do not use when: images have a sky and a ground.
    Source: Shorten & Khoshgoftaar 2019, "A survey on image data augmentation for deep learning".
    Shapes: draws into view.warp (B, 3, 3).
    """

    identity = {"prob": 0.0}
    order = 12

    prob: Annotated[float, Field(ge=0, le=1, description="share of images mirrored"), Search(choices=(0.0, 0.5))] = 0.5

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        side_B = np.where(rng.bernoulli(self.prob), -1.0, 1.0)
        return view.warped_about_centre(scaling(np.ones(len(view)), side_B))
