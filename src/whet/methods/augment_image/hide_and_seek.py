from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import Cover, ImageView


class HideAndSeek(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Divide some images into a grid and cover a random subset of its cells.

    Use when: the network should use the whole object, for example for localisation from class labels.
    Do not use when: objects are as small as a cell.
    Source: Singh & Lee 2017, arXiv:1704.04232.
    Shapes: appends boxes (B, N, 4) in output pixels to view.covers.
    """

    identity = {"prob": 0.0}
    order = 63

    prob: Annotated[float, Field(ge=0, le=1, description="probability that an image is changed"), Search(0.0, 0.8)] = (
        0.5
    )
    hidden: Annotated[float, Field(ge=0, lt=1, description="probability that a cell is hidden"), Search(0.1, 0.5)] = 0.3
    cells: Annotated[int, Field(ge=2, le=16, description="number of cells along each side"), Search(3, 8)] = 4
    fill: Annotated[
        Literal["mean", "black", "noise"],
        Field(description="fill with the mean colour (as in the source), black, or random pixels"),
    ] = "mean"

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        height, width = view.size
        chosen_B, key_B = rng.bernoulli(self.prob), rng.integers(2**32)
        hidden_BN = (rng.uniform(shape=(self.cells**2,)) < self.hidden) & chosen_B[:, None]
        x, y = (np.rint(np.linspace(0, side, self.cells + 1)) for side in (width, height))
        row, column = np.divmod(np.arange(self.cells**2), self.cells)
        box_N4 = np.stack([x[column], y[row], x[column + 1], y[row + 1]], axis=1)
        return view.covered(Cover(box_N4 * hidden_BN[:, :, None], self.fill, key_B))
