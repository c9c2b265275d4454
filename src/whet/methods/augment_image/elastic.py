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
    """Push the image about like a sheet of rubber, smoothly and at random.

    Use when: handwriting, cells, soft or crumpled things.
    Do not use when: shapes are rigid and their outline carries the class.
    Source: Simard, Steinkraus, Platt 2003, "Best practices for convolutional neural networks".
    Deviates: displacements are drawn on a coarse grid and joined by bicubic interpolation, where the paper smooths one drawn for
    every pixel; the grid's spacing takes the place of the smoothing's width. They fade to nothing nowhere: the border moves too.
    Shapes: draws into view.flow (B, N, N, 2), output pixels.
    """

    identity = {"strength": 0.0}
    order = 27

    strength: Annotated[
        float, Field(ge=0, le=0.2, description="standard deviation of the displacement, as a share of the side"),
        Search(0.005, 0.05),
    ] = 0.02  # fmt: skip
    nodes: Annotated[
        int, Field(ge=2, le=FLOW_NODES, description="displacements drawn along each side: few for wide, smooth waves"),
        Search(3, 12),
    ] = 5  # fmt: skip

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        if self.strength == 0:
            return view
        height, width = view.size
        coarse_BNN2 = rng.normal((self.nodes, self.nodes, 2)) * self.strength * np.array([width, height])
        return view.flowing(refined(coarse_BNN2))


def refined(coarse_BNN2: np.ndarray) -> np.ndarray:
    """A cell-centred grid of displacements, made as fine as the view's own by bicubic interpolation."""
    weight = cv2.resize(np.eye(coarse_BNN2.shape[1]), (coarse_BNN2.shape[1], FLOW_NODES), interpolation=cv2.INTER_CUBIC)
    return np.einsum("in,bnmc,jm->bijc", weight, coarse_BNN2, weight)
