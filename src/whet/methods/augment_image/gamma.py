from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import ImageView, Tone


class Gamma(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Apply a gamma correction with a random exponent; black and white do not change.

    Use when: exposure or screens differ between images.
    Do not use when: brightness distinguishes the classes.
    Source: Poynton 1998, "The rehabilitation of gamma"; as augmentation in Buslaev et al. 2020, arXiv:1809.06839.
    Shapes: appends tables (B, 3, 256) to view.tones.
    """

    identity = {"max_factor": 1.0}
    order = 40

    max_factor: Annotated[
        float,
        Field(ge=1, le=4, description="the exponent is drawn log-uniformly from 1 / max_factor to max_factor"),
        Search(1.0, 2.0),
    ] = 1.3

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        if self.max_factor == 1:
            return view
        reach = float(np.log(self.max_factor))
        return gamma_bent(view, np.exp(rng.uniform(-reach, reach)))


def gamma_bent(view: ImageView, exponent_B: np.ndarray) -> ImageView:
    """255 (x / 255)^exponent; 1 leaves the image unchanged."""
    curve = 255 * (np.arange(256) / 255) ** exponent_B[:, None]
    return view.toned(Tone(where_B=exponent_B != 1, table_BC256=curve[:, None]))
