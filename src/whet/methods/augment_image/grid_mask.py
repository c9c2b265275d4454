from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import Cover, ImageView


class GridMask(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Cover some images with a regular grid of squares.

    Use when: objects are large and no single part should determine the prediction.
    Do not use when: objects are small. Whole objects may be hidden.
    Source: Chen et al. 2020, arXiv:2001.04086.
    Deviates: the grid is not rotated.
    Shapes: appends boxes (B, N, 4) in output pixels to view.covers.
    """

    identity = {"prob": 0.0}
    order = 62

    prob: Annotated[float, Field(ge=0, le=1, description="probability that an image is changed"), Search(0.0, 0.8)] = (
        0.5
    )
    kept: Annotated[
        float,
        Field(gt=0, lt=1, description="fraction of the side of each grid cell that stays visible"),
        Search(0.4, 0.8),
    ] = 0.6
    min_cells: Annotated[int, Field(ge=1, le=16, description="smallest number of cells along the shorter side")] = 2
    max_cells: Annotated[int, Field(ge=1, le=16, description="largest number of cells along the shorter side")] = 6
    fill: Annotated[
        Literal["black", "mean", "noise"], Field(description="fill with black, the mean colour, or random pixels")
    ] = "black"

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        height, width = view.size
        low, high = sorted((self.min_cells, self.max_cells))
        cell_B = min(view.size) / rng.uniform(low, high) if high > low else np.full(len(view), min(view.size) / low)
        x_B, y_B, chosen_B, key_B = rng.uniform(), rng.uniform(), rng.bernoulli(self.prob), rng.integers(2**32)
        # Cells for the longer side at the finest grid, plus one for the shift. Cells outside the image become empty boxes.
        number = np.arange(-1, int(np.ceil(high * max(view.size) / min(view.size))) + 1)
        left_BN = np.floor((number + x_B[:, None]) * cell_B[:, None])
        top_BN = np.floor((number + y_B[:, None]) * cell_B[:, None])
        side_B11 = np.maximum(np.rint((1 - self.kept) * cell_B), 1)[:, None, None]
        shape = (len(view), len(number), len(number))
        left, top = np.broadcast_to(left_BN[:, None, :], shape), np.broadcast_to(top_BN[:, :, None], shape)
        box = np.stack([left, top, left + side_B11, top + side_B11], axis=3).reshape(len(view), -1, 4)
        box = np.clip(box, 0, [width, height, width, height]) * chosen_B[:, None, None]
        return view.covered(Cover(box, self.fill, key_B))
