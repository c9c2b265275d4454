from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import Codec, ImageView


class Jpeg(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Compress some images as JPEG at a random quality.

    Use when: images at prediction time are compressed more strongly or repeatedly, as in messengers and web pages.
    Do not use when: images come directly from one camera.
    Source: Hendrycks & Dietterich 2019, arXiv:1903.12261.
    Shapes: appends qualities (B,) to view.codecs.
    """

    identity = {"prob": 0.0}
    order = 71

    prob: Annotated[
        float, Field(ge=0, le=1, description="probability that an image is compressed"), Search(0.0, 0.5)
    ] = 0.2
    min_quality: Annotated[
        int, Field(ge=1, le=95, description="the quality is drawn uniformly from min_quality to 95"), Search(10, 90)
    ] = 30

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        quality_B = self.min_quality + rng.integers(96 - self.min_quality)
        return view.coded(Codec("jpeg", quality_B * rng.bernoulli(self.prob))) if self.prob else view
