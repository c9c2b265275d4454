from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import ImageView, Noise


class ShotNoise(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Add the photon noise of low light to some images; bright pixels vary more than dark ones.

    Use when: images are taken in low light.
    Do not use when: there is enough light.
    Source: Hendrycks & Dietterich 2019, arXiv:1903.12261.
    Deviates: the Poisson distribution is replaced by a normal distribution of the same mean and variance.
    Shapes: appends variances per grey level (B,) to view.noises.
    """

    identity = {"prob": 0.0}
    order = 51

    prob: Annotated[float, Field(ge=0, le=1, description="probability that an image is changed"), Search(0.0, 0.5)] = (
        0.2
    )
    min_photons: Annotated[
        float,
        Field(
            ge=1,
            le=1000,
            description="the photon count of a white pixel is drawn log-uniformly from min_photons to 1000",
        ),
        Search(10, 500, log=True),
    ] = 60.0

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        photons_B = np.exp(rng.uniform(np.log(self.min_photons), np.log(1000)))
        chosen_B, key_B = rng.bernoulli(self.prob), rng.integers(2**32)
        # x grey levels are x * photons / 255 photons; their variance in grey levels is x * 255 / photons.
        return view.noised(Noise("shot", 255 / photons_B * chosen_B, key_B)) if self.prob else view
