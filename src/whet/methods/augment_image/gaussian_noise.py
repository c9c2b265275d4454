from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import ImageView, Noise


class GaussianNoise(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Add Gaussian noise of random strength to every pixel.

    Use when: images come from poor sensors or low light; also as regularisation for small data sets.
    Do not use when: fine texture distinguishes the classes.
    Source: Bishop 1995, "Training with noise is equivalent to Tikhonov regularization".
    Shapes: appends standard deviations (B,) in grey levels to view.noises.
    """

    identity = {"max_std": 0.0}
    order = 50

    max_std: Annotated[
        float, Field(ge=0, le=0.5, description="the standard deviation is drawn uniformly from 0 to max_std; white is 1"),
        Search(0.01, 0.15),
    ] = 0.05  # fmt: skip

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        if self.max_std == 0:
            return view
        return view.noised(Noise("gaussian", 255 * rng.uniform(0, self.max_std), rng.integers(2**32)))
