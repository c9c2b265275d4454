from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import Cover, ImageView


class RandomErasing(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Cover some images with a random rectangle.

    Use when: objects are partly hidden at prediction time, or the network depends on one small part.
    Do not use when: objects are small. The rectangle may hide an object completely.
    Source: Zhong et al. 2017, arXiv:1708.04896.
    Shapes: appends boxes (B, 1, 4) in output pixels to view.covers.
    """

    identity = {"prob": 0.0}
    order = 60

    prob: Annotated[float, Field(ge=0, le=1, description="probability that an image is changed"), Search(0.0, 0.5)] = (
        0.25
    )
    max_area: Annotated[
        float,
        Field(
            gt=0.02, le=1, description="the area is drawn uniformly from 0.02 to max_area, as a fraction of the image"
        ),
        Search(0.1, 0.5),
    ] = 0.33
    fill: Annotated[
        Literal["noise", "mean", "black"],
        Field(description="fill with random pixels (best in the paper), the mean colour, or black"),
    ] = "noise"

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        height, width = view.size
        chosen_B = rng.bernoulli(self.prob)
        area_B = rng.uniform(0.02, self.max_area) * height * width
        aspect_B = np.exp(rng.uniform(np.log(0.3), np.log(1 / 0.3)))
        x_B, y_B, key_B = rng.uniform(), rng.uniform(), rng.integers(2**32)
        h_B = np.clip(np.rint(np.sqrt(area_B * aspect_B)), 1, height)
        w_B = np.clip(np.rint(np.sqrt(area_B / aspect_B)), 1, width)
        left_B, top_B = np.floor(x_B * (width - w_B + 1)), np.floor(y_B * (height - h_B + 1))
        box_B4 = np.stack([left_B, top_B, left_B + w_B, top_B + h_B], axis=1) * chosen_B[:, None]
        return view.covered(Cover(box_B4[:, None], self.fill, key_B))
