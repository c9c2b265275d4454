from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import Filter, ImageView


class MotionBlur(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Smear some images along a straight line of random length and direction.

    Use when: the camera or the things move: belts, hands, vehicles.
    Do not use when: everything stands still and fine texture matters.
    Source: Buslaev et al. 2020, arXiv:1809.06839 (Albumentations); Vasiljevic et al. 2016, arXiv:1611.05760.
    Shapes: draws into view.filters, lengths (B,) in output pixels and angles (B,) in degrees.
    """

    identity = {"prob": 0.0}
    order = 34

    prob: Annotated[float, Field(ge=0, le=1, description="share of images smeared"), Search(0.0, 0.5)] = 0.2
    max_length: Annotated[
        float,
        Field(gt=0.01, le=0.2, description="the line's length is uniform in 0.01 … this, as a share of the side"),
        Search(0.02, 0.1),
    ] = 0.05

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        length_B = rng.uniform(0.01, self.max_length) * max(view.size) * rng.bernoulli(self.prob)
        return view.filtered(Filter("motion", length_B, rng.uniform(0, 180))) if self.prob else view
