from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import ImageView

# Principal axes of the colours of ImageNet's images (0…1) and their standard deviations, as the source's code gives them.
_AXES = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
_SPREADS = np.array([0.2175, 0.0188, 0.0045])


class PcaLighting(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Add a random amount of the colours in which natural images vary most: the light changes, the things do not.

    Use when: photos under changing light.
    Do not use when: images are not photos.
    Source: Krizhevsky, Sutskever, Hinton 2012, "ImageNet classification with deep convolutional neural networks".
    Shapes: draws into view.colour (B, 3, 7).
    """

    identity = {"spread": 0.0}
    order = 38

    spread: Annotated[
        float,
        Field(ge=0, le=2, description="standard deviation of the amounts; the source takes 0.1"),
        Search(0.05, 1.0),
    ] = 0.1

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        if self.spread == 0:
            return view
        amount_B3 = rng.normal((3,)) * self.spread
        same = np.tile(np.eye(3), (len(view), 1, 1))
        return view.coloured(same, b_B3=255 * (amount_B3 * _SPREADS) @ _AXES.T)
