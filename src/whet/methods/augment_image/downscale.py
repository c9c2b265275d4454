from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import Codec, ImageView


class Downscale(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Downscale some images and scale them back to their size, which removes detail.

    Use when: images at prediction time are smaller or taken from a larger distance.
    Do not use when: fine texture distinguishes the classes.
    Source: Buslaev et al. 2020, arXiv:1809.06839 (Albumentations).
    Shapes: appends factors (B,) to view.codecs.
    """

    identity = {"prob": 0.0}
    order = 70

    prob: Annotated[float, Field(ge=0, le=1, description="probability that an image is changed"), Search(0.0, 0.5)] = (
        0.2
    )
    max_factor: Annotated[
        float,
        Field(gt=1, le=16, description="the factor is drawn log-uniformly from 1 to max_factor"),
        Search(1.5, 6.0),
    ] = 3.0

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        factor_B = np.exp(rng.uniform(0, float(np.log(self.max_factor))))
        return view.coded(Codec("downscale", factor_B * rng.bernoulli(self.prob))) if self.prob else view
