from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import ImageView, scaling


class HorizontalFlip(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Flip some images left to right.

    Use when: left and right have the same meaning, as for most objects.
    Do not use when: left and right differ in meaning, as for text, digits, or left and right hands.
    Source: Krizhevsky, Sutskever, Hinton 2012, "ImageNet classification with deep convolutional neural networks".
    Shapes: updates view.warp (B, 3, 3).
    """

    identity = {"prob": 0.0}
    order = 10

    prob: Annotated[
        float, Field(ge=0, le=1, description="probability that an image is flipped"), Search(choices=(0.0, 0.5))
    ] = 0.5

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        side_B = np.where(rng.bernoulli(self.prob), -1.0, 1.0)
        return view.warped_about_centre(scaling(side_B, np.ones(len(view))))
