from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import ImageView, translation


class RandomCrop(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Pad the image by reflection and crop it to its size at a random position, in whole pixels.

    Use when: images are small and all of one size, such as 32 px squares.
    Do not use when: random_resized_crop is in the recipe.
    Source: He et al. 2016, arXiv:1512.03385 (on CIFAR); reflection padding after Page 2018 (DAWNBench).
    Shapes: updates view.warp (B, 3, 3).
    """

    identity = {"padding": 0.0}
    order = 1

    padding: Annotated[
        float,
        Field(ge=0, le=0.5, description="padding on each side, as a fraction of the image's side"),
        Search(0.05, 0.25),
    ] = 0.125

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        height, width = view.size
        reach_x, reach_y = round(self.padding * width), round(self.padding * height)
        x_B, y_B = rng.integers(2 * reach_x + 1) - reach_x, rng.integers(2 * reach_y + 1) - reach_y
        return view.warped(translation(x_B.astype(float), y_B.astype(float)))
