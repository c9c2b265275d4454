from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import ImageView, Tone


class Solarize(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Invert every colour value above a random threshold in some images.

    Use when: it is an operation of a policy, or pre-training should not depend on colour.
    Do not use when: it is the only method at a high probability. Images then become unrealistic.
    Source: Cubuk et al. 2019, arXiv:1805.09501; the definition is that of Pillow's ImageOps.solarize.
    Shapes: appends tables (B, 3, 256) to view.tones.
    """

    identity = {"prob": 0.0}
    order = 41

    prob: Annotated[float, Field(ge=0, le=1, description="probability that an image is changed"), Search(0.0, 0.5)] = (
        0.2
    )
    min_threshold: Annotated[
        int,
        Field(ge=0, le=256, description="the threshold is drawn uniformly from min_threshold to 256"),
        Search(0, 256),
    ] = 128

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        threshold_B = rng.uniform(self.min_threshold, 256)
        chosen_B = rng.bernoulli(self.prob)
        return solarized(view, np.where(chosen_B, threshold_B, 256.0)) if self.prob else view


def solarized(view: ImageView, threshold_B: np.ndarray) -> ImageView:
    """Values at or above the threshold become 255 - value; 256 leaves the image unchanged."""
    values = np.broadcast_to(np.arange(256.0), (len(view), 1, 256))
    table = np.where(values >= threshold_B[:, None, None], 255 - values, values)
    return view.toned(Tone(where_B=threshold_B <= 255, table_BC256=table))
