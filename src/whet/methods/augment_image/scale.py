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

    Use when: objects appear at many distances; a shrunk image is surrounded by its mirror image.
    Do not use when: true size carries the class.
    Source: Simard, Steinkraus, Platt 2003, "Best practices for convolutional neural networks".
    Deviates: what comes in from beyond the border is the mirrored image, not black.
    Shapes: draws into view.warp (B, 3, 3).
    """

    identity = {"max_factor": 1.0}
    order = 23

    max_factor: Annotated[
        float, Field(ge=1, le=4, description="factors are log-uniform in 1 / this … this"), Search(1.0, 2.0)
    ] = 1.2

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        reach = float(np.log(self.max_factor))
        return scaled(view, np.exp(rng.uniform(-reach, reach)))


def scaled(view: ImageView, factor_B: np.ndarray) -> ImageView:
    """The image enlarged; 1 leaves it as it is, bit for bit."""
    return view.warped_about_centre(scaling(1 / factor_B, 1 / factor_B))
