from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import ImageView
from whet.methods.augment_image.policy import applied, strength

NAMES = (
    "identity", "shear_x", "shear_y", "translate_x", "translate_y", "rotate", "brightness", "saturation", "contrast",
    "sharpen", "posterize", "solarize", "autocontrast", "equalize",
)  # fmt: skip


class RandAugment(Method, Draws, family="augment", tasks={"image-classification"}):
    """Apply a few random operations out of fourteen to each image, all at one strength.

    Use when: augmentation is tuned with two numbers.
    Do not use when: there is no time to tune (trivial_augment needs no tuning), or colour or orientation distinguishes the classes.
    Source: Cubuk et al. 2020, arXiv:1909.13719; scales as in torchvision.
    Deviates: operations are rendered in whet's fixed order, not in the order drawn. Rotations and shears are about the image centre
    and reflect the border.
    Shapes: updates view.warp, colour, tones and filters.
    """

    identity = {"operations": 0}
    order = 25

    operations: Annotated[int, Field(ge=0, le=8, description="number of operations drawn per image"), Search(1, 4)] = 2
    magnitude: Annotated[
        float, Field(ge=0, le=30, description="strength of the operations, on a scale of 30"), Search(3, 20)
    ] = 9.0

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        level_B = np.full(len(view), self.magnitude / 30)
        for _ in range(self.operations):
            chosen_B, sign_B = rng.integers(len(NAMES)), rng.sign()
            strengths = [strength(name, level_B, sign_B) for name in NAMES]
            view = applied(view, NAMES, chosen_B, np.choose(chosen_B, strengths))
        return view
