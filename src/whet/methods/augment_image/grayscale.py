from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import GREY, ImageView


class Grayscale(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Convert some images to grey.

    Use when: the network depends too much on colour; also for self-supervised pre-training.
    Do not use when: colour distinguishes the classes.
    Source: Chen et al. 2020, arXiv:2002.05709 (SimCLR).
    Shapes: updates view.colour (B, 3, 7).
    """

    identity = {"prob": 0.0}
    order = 36

    prob: Annotated[
        float, Field(ge=0, le=1, description="probability that an image is converted"), Search(0.0, 0.5)
    ] = 0.2

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        grey_B = rng.bernoulli(self.prob)
        return view.coloured(np.where(grey_B[:, None, None], np.tile(GREY, (3, 1)), np.eye(3))) if self.prob else view
