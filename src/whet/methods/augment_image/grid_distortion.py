from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import FLOW_NODES, ImageView


class GridDistortion(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Stretch and squeeze the columns and rows of a grid laid over the image, each by a random factor.

    Use when: lenses and viewpoints change; things that bend.
    Do not use when: proportions carry the class.
    Source: Buslaev et al. 2020, arXiv:1809.06839 (Albumentations).
    Deviates: the lines between cells are smooth, where Albumentations breaks them; the border stays where it is.
    Shapes: draws into view.flow (B, N, N, 2), output pixels.
    """

    identity = {"max_change": 0.0}
    order = 28

    max_change: Annotated[
        float, Field(ge=0, lt=1, description="a cell's width is its own times a factor uniform in 1 - this … 1 + this"),
        Search(0.05, 0.6),
    ] = 0.3  # fmt: skip
    cells: Annotated[int, Field(ge=2, le=FLOW_NODES, description="cells along each side"), Search(3, 8)] = 5

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        if self.max_change == 0:
            return view
        height, width = view.size
        x_BN = self._shifts(rng) * width
        y_BN = self._shifts(rng) * height
        shape = (len(view), FLOW_NODES, FLOW_NODES)
        across, down = np.broadcast_to(x_BN[:, None, :], shape), np.broadcast_to(y_BN[:, :, None], shape)
        return view.flowing(np.stack([across, down], axis=3))

    def _shifts(self, rng: BatchRng) -> np.ndarray:
        """How far each node along one side moves, as a share of that side."""
        width_BN = rng.uniform(1 - self.max_change, 1 + self.max_change, (self.cells,))
        edge_BN = np.concatenate([np.zeros((len(width_BN), 1)), np.cumsum(width_BN, axis=1)], axis=1)
        moved_BN = edge_BN / edge_BN[:, -1:] - np.linspace(0, 1, self.cells + 1)
        nodes = (np.arange(FLOW_NODES) + 0.5) / FLOW_NODES * self.cells
        left = nodes.astype(int)
        share = nodes - left
        return moved_BN[:, left] * (1 - share) + moved_BN[:, left + 1] * share
