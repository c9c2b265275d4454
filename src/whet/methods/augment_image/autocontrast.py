from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import ImageView, Tone


class AutoContrast(
    Method, Draws, name="autocontrast", family="augment", tasks={"image-classification", "semantic-segmentation"}
):
    """Stretch each colour so that its darkest value is 0 and its brightest 255, for some images.

    Use when: exposure changes between images; part of a policy.
    Do not use when: brightness itself is what is measured.
    Source: Cubuk et al. 2019, arXiv:1805.09501; the definition is that of Pillow's ImageOps.autocontrast.
    Shapes: draws into view.tones; the curve is found by the renderer from the painted image's histogram.
    """

    identity = {"prob": 0.0}
    order = 40

    prob: Annotated[float, Field(ge=0, le=1, description="share of images changed"), Search(0.0, 0.5)] = 0.2

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        return autocontrasted(view, rng.bernoulli(self.prob)) if self.prob else view


def autocontrasted(view: ImageView, where_B: np.ndarray) -> ImageView:
    """Each channel stretched to the full range where `where_B` is true."""
    return view.toned(Tone(where_B=where_B, adaptive="autocontrast"))
