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
    """Shift the colour temperature and the tint of the image by random amounts.

    Use when: cameras or lamps differ between images.
    Do not use when: small differences in colour distinguish the classes.
    Source: Afifi & Brown 2019, arXiv:1912.06960 (as augmentation); gains per channel after von Kries 1902.
    Shapes: updates view.colour (B, 3, 7).
    """

    identity = {"max_change": 0.0}
    order = 29

    max_change: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="log gains of temperature and tint are drawn uniformly from -max_change to max_change",
        ),
        Search(0.02, 0.4),
    ] = 0.15

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        if self.max_change == 0:
            return view
        warm_B, tint_B = (rng.uniform(-self.max_change, self.max_change) for _ in range(2))
        gain_B3 = np.exp(np.stack([warm_B - tint_B / 2, tint_B, -warm_B - tint_B / 2], axis=1))
        gain_B3 /= (gain_B3 @ GREY)[:, None]  # a grey surface keeps its brightness
        return view.coloured(gain_B3[:, :, None] * np.eye(3))
