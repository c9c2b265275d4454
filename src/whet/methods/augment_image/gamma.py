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
    """Bend the brightness curve by a random exponent: shadows open or close, black and white stay.

    Use when: exposure and screens change between images.
    Do not use when: brightness itself is what is measured.
    Source: Poynton 1998, "The rehabilitation of gamma"; as augmentation in Buslaev et al. 2020, arXiv:1809.06839.
    Shapes: draws into view.tones, tables (B, 3, 256).
    """

    identity = {"max_factor": 1.0}
    order = 40

    max_factor: Annotated[
        float, Field(ge=1, le=4, description="the exponent is log-uniform in 1 / this … this"), Search(1.0, 2.0)
    ] = 1.3

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        if self.max_factor == 1:
            return view
        reach = float(np.log(self.max_factor))
        return gamma_bent(view, np.exp(rng.uniform(-reach, reach)))


def gamma_bent(view: ImageView, exponent_B: np.ndarray) -> ImageView:
    """255 (x / 255)^exponent; 1 leaves the image as it is."""
    curve = 255 * (np.arange(256) / 255) ** exponent_B[:, None]
    return view.toned(Tone(where_B=exponent_B != 1, table_BC256=curve[:, None]))
