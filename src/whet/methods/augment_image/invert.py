from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import ImageView, Tone


class Invert(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Invert the colours of some images.

    Use when: dark on light and light on dark have the same meaning, as in print and handwriting; also as an operation of a policy.
    Do not use when: images are photos.
    Source: Cubuk et al. 2019, arXiv:1805.09501; the definition is that of Pillow's ImageOps.invert.
    Shapes: appends tables (B, 3, 256) to view.tones.
    """

    identity = {"prob": 0.0}
    order = 45

    prob: Annotated[float, Field(ge=0, le=1, description="probability that an image is inverted"), Search(0.0, 0.5)] = (
        0.1
    )

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        return inverted(view, rng.bernoulli(self.prob)) if self.prob else view


def inverted(view: ImageView, chosen_B: np.ndarray) -> ImageView:
    """255 - x for samples where `chosen_B` is true."""
    table = np.broadcast_to(255.0 - np.arange(256), (len(view), 1, 256))
    return view.toned(Tone(where_B=chosen_B, table_BC256=table))
