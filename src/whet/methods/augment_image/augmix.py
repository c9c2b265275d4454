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
_PAPER_OPERATIONS = 9  # the first nine are the paper's; the others overlap with common corruptions


class AugMix(Method, Draws, name="augmix", family="augment", tasks={"image-classification"}):
    """Average each image with several augmented versions of itself, each made by a short random chain of operations.

    Use when: images at prediction time are degraded compared with training (blur, noise, weather, compression). Works best with
    jsd_consistency.
    Do not use when: time is short. Every image is rendered several times.
    Source: Hendrycks et al. 2020, arXiv:1912.02781.
    Deviates: the operations of a chain are rendered in whet's fixed order and with one resampling; rotations and shears reflect the
    border. Strengths follow the authors' code. They are not rounded down to whole degrees, pixels and levels, because this leaves
    some operations without effect.
    Shapes: appends `width` blends with weights (B,) to view.blends. With jsd_consistency the first copy of a sample is not
    augmented.
    """

    identity = {"width": 0}
    order = 90  # last: the chains start from the result of all other methods

    width: Annotated[
        int, Field(ge=0, le=5, description="number of augmented versions that are averaged"), Search(1, 4)
    ] = 3
    depth: Annotated[
        int,
        Field(ge=1, le=5, description="largest number of operations in a chain; the number is drawn from 1 … depth"),
        Search(1, 4),
    ] = 3
    severity: Annotated[
        int,
        Field(ge=1, le=10, description="levels are drawn uniformly from 0.1 to severity, on a scale of 10"),
        Search(1, 10),
    ] = 3
    alpha: Annotated[
        float,
        Field(gt=0, description="weights are drawn from Dirichlet(alpha, …) and Beta(alpha, alpha)"),
        Search(0.2, 2.0),
    ] = 1.0
    all_operations: Annotated[bool, Field(description="also use brightness, saturation, contrast and sharpness")] = True

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        if self.width == 0:
            return view
        rng, copy_B = rng.by_copy(), rng.copy_B
        clean_B = (copy_B == 0) & bool(copy_B.any())
        share_B = np.where(clean_B, 0.0, rng.beta(self.alpha, self.alpha))
        weight_BW = rng.dirichlet(self.alpha, self.width) * share_B[:, None]
        names = ("identity", *(NAMES if self.all_operations else NAMES[:_PAPER_OPERATIONS]))
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
    """Return the strength of an operation at a level of 0 … 1, as in the authors' augmentations.py.

    Slopes up to 0.3, shifts up to a third of the side, rotations up to 30 degrees, 4 bits minus a whole number up to 4, thresholds
    from 256 downwards. Factors are 0.1 … 1.9 for both signs: at a low level they darken, desaturate and blur.
    """
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
        return 1.8 * level_B - 0.9  # the factor minus one
    if name == "posterize":
        return 4 - np.floor(4 * level_B)
    if name == "solarize":
        return 255 * (1 - level_B)
    return np.ones_like(level_B)
