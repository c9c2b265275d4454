from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import ImageView, Noise


class SaltPepper(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Set a random fraction of the pixels to black or white.

    Use when: sensors have dead pixels, transmission is noisy, or images are scanned paper.
    Do not use when: images at prediction time are clean.
    Source: Gonzalez & Woods 1992, "Digital image processing"; as augmentation in Hendrycks & Dietterich 2019, arXiv:1903.12261.
    Shapes: appends fractions of pixels (B,) to view.noises.
    """

    identity = {"max_share": 0.0}
    order = 52

    max_share: Annotated[
        float,
        Field(ge=0, le=0.5, description="the fraction of pixels is drawn uniformly from 0 to max_share"),
        Search(0.005, 0.1),
    ] = 0.02

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        if self.max_share == 0:
            return view
        return view.noised(Noise("salt_pepper", rng.uniform(0, self.max_share), rng.integers(2**32)))
