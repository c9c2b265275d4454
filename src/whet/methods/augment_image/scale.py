from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import ImageView, scaling


class Scale(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Enlarge or shrink the image about its centre by a random factor.

    Use when: objects appear at different distances. A shrunk image is padded by reflection.
    Do not use when: the true size of objects distinguishes the classes.
    Source: Simard, Steinkraus, Platt 2003, "Best practices for convolutional neural networks".
    Deviates: pixels outside the image are filled by reflection, not black.
    Shapes: updates view.warp (B, 3, 3).
    """

    identity = {"max_factor": 1.0}
    order = 23

    max_factor: Annotated[
        float,
        Field(ge=1, le=4, description="the factor is drawn log-uniformly from 1 / max_factor to max_factor"),
        Search(1.0, 2.0),
    ] = 1.2

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        reach = float(np.log(self.max_factor))
        return scaled(view, np.exp(rng.uniform(-reach, reach)))


def scaled(view: ImageView, factor_B: np.ndarray) -> ImageView:
    """Scale the image about its centre; 1 leaves it unchanged, bit for bit."""
    return view.warped_about_centre(scaling(1 / factor_B, 1 / factor_B))
