from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import Blend, ImageView
from whet.methods.augment_image.policy import applied

NAMES = (
    "shear_x", "shear_y", "translate_x", "translate_y", "rotate", "posterize", "solarize", "autocontrast", "equalize",
    "brightness", "saturation", "contrast", "sharpen",
)  # fmt: skip
_PLAIN = 9  # the first nine are the paper's; the others overlap with common corruptions


class AugMix(Method, Draws, name="augmix", family="augment", tasks={"image-classification"}):
    """Average each image with several changed versions of itself, each changed by a short random chain of operations.

    Use when: images in use will be worse than those in training: blur, noise, weather, compression. Best with jsd_consistency.
    Do not use when: time is short: every image is painted several times.
    Source: Hendrycks et al. 2020, arXiv:1912.02781.
    Deviates: a chain's operations are painted in whet's fixed order and in one resampling; turns and slants mirror the border.
    Strengths are those of the authors' code, not rounded down to whole degrees, pixels and levels, which lets some do nothing.
    Shapes: draws `width` blends into view.blends, weights (B,). With jsd_consistency the first copy of a sample stays clean.
    """

    identity = {"width": 0}
    order = 90  # after all others: its chains begin where they end

    width: Annotated[int, Field(ge=0, le=5, description="changed versions averaged"), Search(1, 4)] = 3
    depth: Annotated[int, Field(ge=1, le=5, description="most operations in a chain; at least one"), Search(1, 4)] = 3
    severity: Annotated[
        int, Field(ge=1, le=10, description="levels are uniform between 0.1 and this, of ten"), Search(1, 10)
    ] = 3
    alpha: Annotated[
        float,
        Field(gt=0, description="weights are drawn from Dirichlet(alpha, …) and Beta(alpha, alpha)"),
        Search(0.2, 2.0),
    ] = 1.0
    all_operations: Annotated[bool, Field(description="brightness, saturation, contrast and sharpness too")] = True

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        if self.width == 0:
            return view
        rng, copy_B = rng.by_copy(), rng.copy_B
        clean_B = (copy_B == 0) & bool(copy_B.any())
        share_B = np.where(clean_B, 0.0, rng.beta(self.alpha, self.alpha))
        weight_BW = rng.dirichlet(self.alpha, self.width) * share_B[:, None]
        names = ("identity", *(NAMES if self.all_operations else NAMES[:_PLAIN]))
        start = replace(view, blends=())
        for chain in range(self.width):
            changed, length_B = start, 1 + rng.integers(self.depth)
            for place in range(self.depth):
                chosen_B = np.where(place < length_B, 1 + rng.integers(len(names) - 1), 0)
                level_B, sign_B = rng.uniform(0.1, self.severity) / 10, rng.sign()
                strengths = [strength(name, level_B, sign_B) for name in names]
                changed = applied(changed, names, chosen_B, np.choose(chosen_B, strengths))
            view = view.blended(Blend(changed, weight_BW[:, chain]))
        return view


def strength(name: str, level_B: np.ndarray, sign_B: np.ndarray) -> np.ndarray:
    """The strength of an operation at a level of 0 … 1, as in the authors' augmentations.py: slopes to 0.3, shifts to a third of
    the side, turns to 30 degrees, 4 bits less a whole number up to 4, thresholds from 256 down, and factors of 0.1 … 1.9 whatever
    the sign: at a low level they darken, fade, and blur."""
    signed_B = level_B * sign_B
    if name in ("shear_x", "shear_y"):
        return 0.3 * signed_B
    if name in ("translate_x", "translate_y"):
        return signed_B / 3
    if name == "rotate":
        return 30 * signed_B
    if name in ("brightness", "contrast", "saturation"):
        return 0.1 + 1.8 * level_B
    if name == "sharpen":
        return 1.8 * level_B - 0.9  # the factor less one
    if name == "posterize":
        return 4 - np.floor(4 * level_B)
    if name == "solarize":
        return 255 * (1 - level_B)
    return np.ones_like(level_B)
