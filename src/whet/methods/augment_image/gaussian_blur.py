from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import Filter, ImageView


class GaussianBlur(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Blur some images with a Gaussian of random width.

    Use when: focus differs between images; also for self-supervised pre-training.
    Do not use when: fine texture distinguishes the classes.
    Source: Chen et al. 2020, arXiv:2002.05709 (SimCLR).
    Shapes: appends standard deviations (B,) in output pixels to view.filters.
    """

    identity = {"prob": 0.0}
    order = 33

    prob: Annotated[float, Field(ge=0, le=1, description="probability that an image is blurred"), Search(0.0, 0.5)] = (
        0.2
    )
    max_sigma: Annotated[
        float,
        Field(
            gt=0.001,
            le=0.05,
            description="the standard deviation is drawn uniformly from 0.001 to max_sigma, as a fraction of the side",
        ),
        Search(0.002, 0.02),
    ] = 0.009

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        sigma_B = rng.uniform(0.001, self.max_sigma) * max(view.size)
        return view.filtered(Filter("gaussian", sigma_B * rng.bernoulli(self.prob))) if self.prob else view
