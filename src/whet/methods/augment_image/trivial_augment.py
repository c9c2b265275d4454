from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import ImageView
from whet.methods.augment_image.policy import applied

NAMES = (
    "identity", "autocontrast", "equalize", "rotate", "solarize", "saturation", "posterize",
    "contrast", "brightness", "sharpen", "shear_x", "shear_y", "translate_x", "translate_y",
)  # fmt: skip
_LEVELS = 31


class TrivialAugment(Method, Draws, family="augment", tasks={"image-classification"}):
    """Apply one random operation out of fourteen to each image, at a random strength.

    Use when: there is no time to tune augmentation. A strong default for training from scratch and long fine-tuning.
    Do not use when: training is short, or colour or orientation distinguishes the classes.
    Source: Müller & Hutter 2021, arXiv:2103.10158 (TA wide).
    Deviates: rotations and shears are about the image centre and reflect the border instead of filling it. Shifts reach one seventh
    of the side, which equals the paper's 32 px at 224 px.
    Shapes: updates view.warp, colour, tones and filters.
    """

    identity = {"prob": 0.0}
    order = 25

    prob: Annotated[
        float, Field(ge=0, le=1, description="probability that an image is changed; 1 in the paper"), Search(0.2, 1.0)
    ] = 1.0

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        chosen_B = np.where(rng.bernoulli(self.prob), rng.integers(len(NAMES)), 0)
        level_B, sign_B = rng.integers(_LEVELS) / (_LEVELS - 1), rng.sign()
        if self.prob == 0:
            return view
        return applied(view, NAMES, chosen_B, np.choose(chosen_B, [wide(name, level_B, sign_B) for name in NAMES]))


def wide(name: str, level_B: np.ndarray, sign_B: np.ndarray) -> np.ndarray:
    """Return the strength of an operation at a level of 0 … 1 on the paper's wide scale."""
    signed_B = level_B * sign_B
    if name in ("shear_x", "shear_y", "sharpen"):
        return 0.99 * signed_B
    if name in ("translate_x", "translate_y"):
        return signed_B / 7
    if name == "rotate":
        return 135 * signed_B
    if name in ("brightness", "contrast", "saturation"):
        return 1 + 0.99 * signed_B
    if name == "posterize":
        return 8 - np.rint(6 * level_B)
    if name == "solarize":
        return 255 * (1 - level_B)
    return np.ones_like(level_B)
