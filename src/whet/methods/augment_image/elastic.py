from __future__ import annotations

from typing import Annotated

import cv2
import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import FLOW_NODES, ImageView


class Elastic(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Apply a smooth random displacement to the image (elastic deformation).

    Use when: images show handwriting, cells, or soft or crumpled objects.
    Do not use when: shapes are rigid and their outline distinguishes the classes.
    Source: Simard, Steinkraus, Platt 2003, "Best practices for convolutional neural networks".
    Deviates: displacements are drawn on a coarse grid and interpolated bicubically; the paper smooths one displacement per pixel.
    The grid spacing replaces the width of the smoothing. Displacements do not vanish at the border.
    Shapes: updates view.flow (B, N, N, 2), output pixels.
    """

    identity = {"strength": 0.0}
    order = 27

    strength: Annotated[
        float, Field(ge=0, le=0.2, description="standard deviation of the displacement, as a fraction of the side"),
        Search(0.005, 0.05),
    ] = 0.02  # fmt: skip
    nodes: Annotated[
        int, Field(ge=2, le=FLOW_NODES, description="grid points along each side; few points give smooth deformations"),
        Search(3, 12),
    ] = 5  # fmt: skip

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        if self.strength == 0:
            return view
        height, width = view.size
        coarse_BNN2 = rng.normal((self.nodes, self.nodes, 2)) * self.strength * np.array([width, height])
        return view.flowing(refined(coarse_BNN2))


def refined(coarse_BNN2: np.ndarray) -> np.ndarray:
    """Interpolate a cell-centred grid of displacements bicubically to the resolution of view.flow."""
    weight = cv2.resize(np.eye(coarse_BNN2.shape[1]), (coarse_BNN2.shape[1], FLOW_NODES), interpolation=cv2.INTER_CUBIC)
    return np.einsum("in,bnmc,jm->bijc", weight, coarse_BNN2, weight)
