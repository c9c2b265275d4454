from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import ImageView, Tone


class Equalize(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Equalize the histogram of each colour channel of some images.

    Use when: lighting and exposure differ widely; also as an operation of a policy.
    Do not use when: brightness distinguishes the classes.
    Source: Cubuk et al. 2019, arXiv:1805.09501; the definition is that of Pillow's ImageOps.equalize.
    Shapes: appends to view.tones; the renderer computes the curve from the histogram of the rendered image.
    """

    identity = {"prob": 0.0}
    order = 43

    prob: Annotated[float, Field(ge=0, le=1, description="probability that an image is changed"), Search(0.0, 0.5)] = (
        0.2
    )

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        return equalized(view, rng.bernoulli(self.prob)) if self.prob else view


def equalized(view: ImageView, where_B: np.ndarray) -> ImageView:
    """Equalize the histogram of each channel for samples where `where_B` is true."""
    return view.toned(Tone(where_B=where_B, adaptive="equalize"))
