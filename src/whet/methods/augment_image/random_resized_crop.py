from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import ImageView


class RandomResizedCrop(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Crop a random part of the image, of random area and aspect ratio, and resize it to the output size.

    Use when: objects appear at different sizes and positions. This applies to nearly all image classification.
    Do not use when: the class depends on the whole image or on the true size of objects.
    Source: Szegedy et al. 2015, arXiv:1409.4842.
    Deviates: the aspect ratio is drawn from those that fit at the drawn area; torchvision draws again up to ten times and so
    favours small areas. The aspect ratio is relative to that at prediction.
    Shapes: writes the crop box, in whole source pixels, into view.warp (B, 3, 3).
    """

    identity = {"min_area": 1.0, "max_aspect": 1.0}
    order = 0

    min_area: Annotated[
        float,
        Field(gt=0, le=1, description="smallest area of the crop, as a fraction of the image's area"),
        Search(0.08, 0.9),
    ] = 0.35
    max_aspect: Annotated[
        float,
        Field(ge=1, le=4, description="largest factor by which width / height changes, up or down"),
        Search(1.0, 2.0),
    ] = 4 / 3

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        area_B = rng.uniform(self.min_area, 1.0)
        shape_B, x_B, y_B = rng.uniform(), rng.uniform(), rng.uniform()
        return view.crop(random_box(view, area_B, self.max_aspect, shape_B, x_B, y_B))


def random_box(
    view: ImageView, area_B: np.ndarray, max_aspect: float, shape_B: np.ndarray, x_B: np.ndarray, y_B: np.ndarray
) -> np.ndarray:
    """Return boxes (B, 4) of the given fraction of each image's area; shape, x and y are uniform draws in (0, 1)."""
    height_B, width_B = view.source_size_B2[:, 0], view.source_size_B2[:, 1]
    # Aspect ratio of the view before this method, relative to the image's; 1 if the view is the whole image.
    shown_B = np.abs(view.warp_B33[:, 0, 0] * view.size[1] / width_B) / np.abs(
        view.warp_B33[:, 1, 1] * view.size[0] / height_B
    )
    # A box of area a and aspect r (both relative) is sqrt(a r) wide and sqrt(a / r) high. It fits if a <= r <= 1 / a.
    low_B = np.log(np.clip(shown_B / max_aspect, area_B, 1 / area_B))
    high_B = np.log(np.clip(shown_B * max_aspect, area_B, 1 / area_B))
    aspect_B = np.exp(low_B + (high_B - low_B) * shape_B)
    w_B = np.clip(np.rint(np.sqrt(area_B * aspect_B) * width_B), 1, width_B)
    h_B = np.clip(np.rint(np.sqrt(area_B / aspect_B) * height_B), 1, height_B)
    left_B = np.floor(x_B * (width_B - w_B + 1))
    top_B = np.floor(y_B * (height_B - h_B + 1))
    return np.stack([left_B, top_B, left_B + w_B, top_B + h_B], axis=1)
