from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method, Search, Stage
from whet.core.rng import BatchRng
from whet.core.view import ImageView
from whet.methods.augment_image.autocontrast import autocontrasted
from whet.methods.augment_image.brightness import brightened
from whet.methods.augment_image.contrast import contrasted
from whet.methods.augment_image.equalize import equalized
from whet.methods.augment_image.posterize import posterized
from whet.methods.augment_image.rotate import rotated
from whet.methods.augment_image.saturation import saturated
from whet.methods.augment_image.sharpen import sharpened
from whet.methods.augment_image.shear import sheared
from whet.methods.augment_image.solarize import solarized
from whet.methods.augment_image.translate import translated

OPERATIONS = (
    "identity", "autocontrast", "equalize", "rotate", "solarize", "saturation", "posterize",
    "contrast", "brightness", "sharpen", "shear_x", "shear_y", "translate_x", "translate_y",
)  # fmt: skip
_LEVELS = 31


class TrivialAugment(Method, stage=Stage.SAMPLE, family="augment", tasks={"image-classification"}):
    """Change every picture by one operation of fourteen, drawn at random, at a strength drawn at random.

    Use when: there is no time to tune augmentation; a strong default for training from scratch and long fine-tunes.
    Do not use when: training is short, or colour or orientation carries the class.
    Source: Müller & Hutter 2021, arXiv:2103.10158 (TA wide).
    Deviates: turns and shears are about the centre and mirror the border instead of filling it; shifts reach a seventh of the
    side, which is the paper's 32 px at 224.
    Shapes: draws into view.warp, colour, tones and filters.
    """

    identity = {"prob": 0.0}
    order = 25

    prob: Annotated[
        float, Field(ge=0, le=1, description="share of pictures changed; the paper changes all"), Search(0.2, 1.0)
    ] = 1.0

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        operation_B = np.where(rng.bernoulli(self.prob), rng.integers(len(OPERATIONS)), 0)
        level_B = rng.integers(_LEVELS) / (_LEVELS - 1)
        return _applied(view, operation_B, level_B, rng.sign()) if self.prob else view


def _applied(view: ImageView, operation_B: np.ndarray, level_B: np.ndarray, sign_B: np.ndarray) -> ImageView:
    """Each sample's operation at its level (0 … 1); every other operation is drawn at the strength that changes nothing."""

    def at(name: str, strength_B: np.ndarray, neutral: float = 0.0) -> np.ndarray:
        return np.where(operation_B == OPERATIONS.index(name), strength_B, neutral)

    def chosen(name: str) -> np.ndarray:
        return operation_B == OPERATIONS.index(name)

    signed_B = level_B * sign_B
    slant_B = np.degrees(np.arctan(0.99 * signed_B))
    view = rotated(view, at("rotate", 135 * signed_B))
    view = sheared(view, at("shear_x", slant_B), at("shear_y", slant_B))
    view = translated(view, at("translate_x", signed_B / 7), at("translate_y", signed_B / 7))
    if chosen("sharpen").any():
        view = sharpened(view, at("sharpen", 0.99 * signed_B))
    if np.isin(operation_B, [OPERATIONS.index(name) for name in ("brightness", "contrast", "saturation")]).any():
        factor_B = 1 + 0.99 * signed_B
        view = brightened(view, at("brightness", factor_B, 1.0))
        view = contrasted(view, at("contrast", factor_B, 1.0))
        view = saturated(view, at("saturation", factor_B, 1.0))
    if chosen("posterize").any():
        view = posterized(view, at("posterize", 8 - np.rint(6 * level_B), 8).astype(np.int64))
    if chosen("solarize").any():
        view = solarized(view, at("solarize", 255 * (1 - level_B), 256.0))
    if chosen("autocontrast").any():
        view = autocontrasted(view, chosen("autocontrast"))
    return equalized(view, chosen("equalize")) if chosen("equalize").any() else view
