from __future__ import annotations

from itertools import permutations
from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import ImageView


class ChannelShuffle(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Permute the colour channels of some images at random.

    Use when: colours are false or arbitrary, or should not matter.
    Do not use when: images are photos. Swapped colours are unrealistic there.
    Source: Buslaev et al. 2020, arXiv:1809.06839 (Albumentations).
    Shapes: updates view.colour (B, 3, 7).
    """

    identity = {"prob": 0.0}
    order = 37

    prob: Annotated[float, Field(ge=0, le=1, description="probability that an image is changed"), Search(0.0, 0.5)] = (
        0.2
    )

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        order_B = (1 + rng.integers(5)) * rng.bernoulli(self.prob)  # 0: unchanged
        return view.coloured(np.eye(3)[np.array(list(permutations(range(3))))[order_B]]) if self.prob else view
