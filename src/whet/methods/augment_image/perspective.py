from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import ImageView


class Perspective(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Move the four corners of the image at random, which simulates another viewpoint.

    Use when: flat objects are photographed at varying angles: labels, documents, a conveyor belt.
    Do not use when: the camera position is fixed.
    Source: DeTone, Malisiewicz, Rabinovich 2016, arXiv:1606.03798, who move the four corners of a patch in the same way to learn
    homographies.
    Deviates: pixels outside the image are filled by reflection, not black.
    Shapes: updates view.warp (B, 3, 3), including its last row.
    """

    identity = {"max_shift": 0.0}
    order = 24

    max_shift: Annotated[
        float, Field(ge=0, le=0.4, description="each corner moves by up to this fraction of the side, along both axes"),
        Search(0.02, 0.25),
    ] = 0.1  # fmt: skip

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        if self.max_shift == 0:
            return view
        height, width = view.size
        corners_42 = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=float)
        shift_B42 = rng.uniform(-self.max_shift, self.max_shift, (4, 2)) * [width, height]
        return view.warped(homography(corners_42, corners_42 + shift_B42))


def homography(from_42: np.ndarray, to_B42: np.ndarray) -> np.ndarray:
    """Return perspective transforms (B, 3, 3) that map four points to four others."""
    x, y = from_42.T
    rows = np.zeros((len(to_B42), 8, 8))
    for axis, first in ((0, 0), (1, 3)):
        rows[:, axis::2, first], rows[:, axis::2, first + 1], rows[:, axis::2, first + 2] = x, y, 1
        rows[:, axis::2, 6], rows[:, axis::2, 7] = -x * to_B42[:, :, axis], -y * to_B42[:, :, axis]
    solved = np.linalg.solve(rows, to_B42.reshape(-1, 8, 1))[..., 0]
    return np.concatenate([solved, np.ones((len(solved), 1))], axis=1).reshape(-1, 3, 3)
