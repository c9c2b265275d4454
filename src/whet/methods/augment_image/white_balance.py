from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import GREY, ImageView


class WhiteBalance(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Make the light warmer or colder, and greener or pinker, by random amounts.

    Use when: cameras or lamps change between images.
    Do not use when: small differences of colour tell the classes apart.
    Source: Afifi & Brown 2019, arXiv:1912.06960, for the use; gains a channel after von Kries 1902.
    Shapes: draws into view.colour (B, 3, 7).
    """

    identity = {"max_change": 0.0}
    order = 29

    max_change: Annotated[
        float, Field(ge=0, le=1, description="log gains of warmth and tint are uniform between minus and plus this"),
        Search(0.02, 0.4),
    ] = 0.15  # fmt: skip

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        if self.max_change == 0:
            return view
        warm_B, tint_B = (rng.uniform(-self.max_change, self.max_change) for _ in range(2))
        gain_B3 = np.exp(np.stack([warm_B - tint_B / 2, tint_B, -warm_B - tint_B / 2], axis=1))
        gain_B3 /= (gain_B3 @ GREY)[:, None]  # a grey surface keeps its brightness
        return view.coloured(gain_B3[:, :, None] * np.eye(3))
