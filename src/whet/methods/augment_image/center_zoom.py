from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import ImageView, scaling


class CenterZoom(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Crop the centre of the image and enlarge it by a random factor.

    Use when: objects are in the centre and the distance of the camera varies.
    Do not use when: relevant parts are near the border.
    Source: Howard 2013, arXiv:1312.5402.
    Shapes: updates view.warp (B, 3, 3).
    """

    identity = {"max_zoom": 1.0}
    order = 2

    max_zoom: Annotated[
        float, Field(ge=1, le=8, description="the factor is drawn uniformly from 1 to max_zoom"), Search(1.0, 2.0)
    ] = 1.3

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        part_B = 1 / rng.uniform(1.0, self.max_zoom) if self.max_zoom > 1 else np.ones(len(view))
        return view.warped_about_centre(scaling(part_B, part_B))
