from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import Filter, ImageView


class MotionBlur(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Blur some images along a straight line of random length and direction.

    Use when: the camera or the objects move, as with belts, hands or vehicles.
    Do not use when: nothing moves and fine texture matters.
    Source: Buslaev et al. 2020, arXiv:1809.06839 (Albumentations); Vasiljevic et al. 2016, arXiv:1611.05760.
    Shapes: appends lengths (B,) in output pixels and angles (B,) in degrees to view.filters.
    """

    identity = {"prob": 0.0}
    order = 34

    prob: Annotated[float, Field(ge=0, le=1, description="probability that an image is blurred"), Search(0.0, 0.5)] = (
        0.2
    )
    max_length: Annotated[
        float,
        Field(
            gt=0.01,
            le=0.2,
            description="the length is drawn uniformly from 0.01 to max_length, as a fraction of the side",
        ),
        Search(0.02, 0.1),
    ] = 0.05

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        length_B = rng.uniform(0.01, self.max_length) * max(view.size) * rng.bernoulli(self.prob)
        return view.filtered(Filter("motion", length_B, rng.uniform(0, 180))) if self.prob else view
