from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.masks import IGNORE
from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import ImageView
from whet.methods.augment_image.random_resized_crop import random_box


class RareClassCrop(Method, Draws, family="augment", tasks={"semantic-segmentation"}):
    """Crop some images around a pixel of a class that covers little of them, instead of anywhere.

    Use when: a class has few or small objects, which most random crops miss.
    Do not use when: the class of a pixel depends on the whole scene.
    Source: Isensee et al. 2021, arXiv:1904.08128 (nnU-Net), which centres a third of the crops on a foreground class.
    Deviates: the class is drawn among those of the image with a probability inverse to its number of pixels there; nnU-Net draws
    them evenly. A crop that would leave the image is moved inside.
    Shapes: writes the crop box, in whole source pixels, into view.warp (B, 3, 3); replaces that of random_resized_crop.
    """

    identity = {"prob": 0.0}
    order = 0  # after random_resized_crop, by name

    prob: Annotated[
        float, Field(ge=0, le=1, description="probability that a crop is centred on a drawn class"), Search(0.1, 0.8)
    ] = 0.33
    min_area: Annotated[
        float,
        Field(
            gt=0, le=1, description="smallest area of such a crop, as a fraction of the image's area; the largest is 1"
        ),
        Search(0.08, 0.9),
    ] = 0.2
    max_aspect: Annotated[
        float,
        Field(ge=1, le=4, description="largest factor by which its width / height changes, up or down"),
        Search(1.0, 2.0),
    ] = 4 / 3

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        chosen_B = rng.bernoulli(self.prob)
        area_B, shape_B = rng.uniform(self.min_area, 1.0), rng.uniform()
        class_B, pixel_B = rng.uniform(), rng.uniform()
        if not view.class_maps:
            return view  # samples without masks
        middle_B2 = np.full((len(view), 2), np.nan)
        for i in np.flatnonzero(chosen_B).tolist():  # maps have different sizes
            middle_B2[i] = drawn_pixel(view.class_maps[i](), class_B[i], pixel_B[i])
        chosen_B &= np.isfinite(middle_B2[:, 0])
        corner_B = np.zeros(len(view))
        whole = ImageView.whole(view.source_size_B2, view.size)
        x0_B, y0_B, x1_B, y1_B = random_box(whole, area_B, self.max_aspect, shape_B, corner_B, corner_B).T
        left_B, top_B = (
            np.clip(np.floor(middle_B2[:, axis] - side_B / 2), 0, view.source_size_B2[:, 1 - axis] - side_B)
            for axis, side_B in enumerate((x1_B - x0_B, y1_B - y0_B))
        )
        box_B4 = np.stack([left_B, top_B, left_B + x1_B - x0_B, top_B + y1_B - y0_B], axis=1)
        cropped = view.crop(np.where(chosen_B[:, None], box_B4, 1.0))
        return replace(view, warp_B33=np.where(chosen_B[:, None, None], cropped.warp_B33, view.warp_B33))


def drawn_pixel(class_HW: np.ndarray, class_draw: float, pixel_draw: float) -> tuple[float, float]:
    """The middle (x, y) of a pixel of a class, drawn with a probability inverse to its number of pixels; NaN where no two classes
    are known. Both draws are uniform in (0, 1)."""
    count_K = np.bincount(class_HW.ravel(), minlength=IGNORE + 1)[:IGNORE]
    there = np.flatnonzero(count_K)
    if len(there) < 2:
        return np.nan, np.nan
    odds = np.cumsum(1 / count_K[there])
    k = there[np.searchsorted(odds, class_draw * odds[-1])]
    place = np.flatnonzero(class_HW.ravel() == k)[int(pixel_draw * count_K[k])]
    y, x = divmod(int(place), class_HW.shape[1])
    return x + 0.5, y + 0.5
