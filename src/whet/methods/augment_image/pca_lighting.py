from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import ImageView

# Principal components of the colours of ImageNet images (0 … 1) and their standard deviations, from the source's code.
_AXES = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
_SPREADS = np.array([0.2175, 0.0188, 0.0045])


class PcaLighting(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Add random amounts of the principal colour components of natural images, which changes the lighting.

    Use when: images are photos under varying light.
    Do not use when: images are not photos.
    Source: Krizhevsky, Sutskever, Hinton 2012, "ImageNet classification with deep convolutional neural networks".
    Shapes: updates view.colour (B, 3, 7).
    """

    identity = {"spread": 0.0}
    order = 38

    spread: Annotated[
        float,
        Field(ge=0, le=2, description="standard deviation of the amounts; 0.1 in the source"),
        Search(0.05, 1.0),
    ] = 0.1

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        if self.spread == 0:
            return view
        amount_B3 = rng.normal((3,)) * self.spread
        same = np.tile(np.eye(3), (len(view), 1, 1))
        return view.coloured(same, b_B3=255 * (amount_B3 * _SPREADS) @ _AXES.T)
