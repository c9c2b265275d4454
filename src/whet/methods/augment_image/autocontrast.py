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
    """Stretch each colour channel of some images so that its minimum becomes 0 and its maximum 255.

    Use when: exposure differs between images; also as an operation of a policy.
    Do not use when: brightness distinguishes the classes.
    Source: Cubuk et al. 2019, arXiv:1805.09501; the definition is that of Pillow's ImageOps.autocontrast.
    Shapes: appends to view.tones; the renderer computes the curve from the histogram of the rendered image.
    """

    identity = {"prob": 0.0}
    order = 40

    prob: Annotated[float, Field(ge=0, le=1, description="probability that an image is changed"), Search(0.0, 0.5)] = (
        0.2
    )

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        return autocontrasted(view, rng.bernoulli(self.prob)) if self.prob else view


def autocontrasted(view: ImageView, where_B: np.ndarray) -> ImageView:
    """Stretch each channel to the full range for samples where `where_B` is true."""
    return view.toned(Tone(where_B=where_B, adaptive="autocontrast"))
