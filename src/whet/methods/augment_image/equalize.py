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
    """Spread the values of each colour evenly over the whole range, for some images.

    Use when: light and exposure change widely; part of a policy.
    Do not use when: brightness itself is what is measured.
    Source: Cubuk et al. 2019, arXiv:1805.09501; the definition is that of Pillow's ImageOps.equalize.
    Shapes: draws into view.tones; the curve is found by the renderer from the painted image's histogram.
    """

    identity = {"prob": 0.0}
    order = 43

    prob: Annotated[float, Field(ge=0, le=1, description="share of images changed"), Search(0.0, 0.5)] = 0.2

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        return equalized(view, rng.bernoulli(self.prob)) if self.prob else view


def equalized(view: ImageView, where_B: np.ndarray) -> ImageView:
    """The histogram of each channel made flat where `where_B` is true."""
    return view.toned(Tone(where_B=where_B, adaptive="equalize"))
