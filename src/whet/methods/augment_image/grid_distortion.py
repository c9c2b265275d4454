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
    """Stretch and compress the columns and rows of a grid over the image, each by a random factor.

    Use when: lenses or viewpoints differ, or objects can bend.
    Do not use when: proportions distinguish the classes.
    Source: Buslaev et al. 2020, arXiv:1809.06839 (Albumentations).
    Deviates: lines stay smooth between cells, while Albumentations breaks them. The border does not move.
    Shapes: updates view.flow (B, N, N, 2), output pixels.
    """

    identity = {"max_change": 0.0}
    order = 28

    max_change: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="cell sizes are scaled by factors drawn uniformly from 1 - max_change to 1 + max_change",
        ),
        Search(0.05, 0.6),
    ] = 0.3
    cells: Annotated[int, Field(ge=2, le=FLOW_NODES, description="number of cells along each side"), Search(3, 8)] = 5

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
        """Shift of each node along one side, as a fraction of that side."""
        width_BN = rng.uniform(1 - self.max_change, 1 + self.max_change, (self.cells,))
        edge_BN = np.concatenate([np.zeros((len(width_BN), 1)), np.cumsum(width_BN, axis=1)], axis=1)
        moved_BN = edge_BN / edge_BN[:, -1:] - np.linspace(0, 1, self.cells + 1)
        nodes = (np.arange(FLOW_NODES) + 0.5) / FLOW_NODES * self.cells
        left = nodes.astype(int)
        share = nodes - left
        return moved_BN[:, left] * (1 - share) + moved_BN[:, left + 1] * share
