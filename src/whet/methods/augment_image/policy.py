"""Operations of the policies trivial_augment, rand_augment, auto_augment and augmix.

They are the methods of this folder with one strength per sample. Each has a neutral strength that changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from whet.core.view import ImageView
from whet.methods.augment_image.autocontrast import autocontrasted
from whet.methods.augment_image.brightness import brightened
from whet.methods.augment_image.contrast import contrasted
from whet.methods.augment_image.equalize import equalized
from whet.methods.augment_image.invert import inverted
from whet.methods.augment_image.posterize import posterized
from whet.methods.augment_image.rotate import rotated
from whet.methods.augment_image.saturation import saturated
from whet.methods.augment_image.sharpen import sharpened
from whet.methods.augment_image.shear import sheared
from whet.methods.augment_image.solarize import solarized
from whet.methods.augment_image.translate import translated


class Operation(NamedTuple):
    """draw(view, strength_B). The neutral strength leaves a sample unchanged. Operations without a strength use 1 for on."""

    draw: Callable[[ImageView, np.ndarray], ImageView]
    neutral: float = 0.0


def _zero(view: ImageView) -> np.ndarray:
    return np.zeros(len(view))


OPERATIONS: dict[str, Operation] = {
    "identity": Operation(lambda view, on_B: view),
    "rotate": Operation(rotated),  # degrees
    "shear_x": Operation(lambda view, slope_B: sheared(view, np.degrees(np.arctan(slope_B)), _zero(view))),
    "shear_y": Operation(lambda view, slope_B: sheared(view, _zero(view), np.degrees(np.arctan(slope_B)))),
    "translate_x": Operation(lambda view, share_B: translated(view, share_B, _zero(view))),  # fractions of the side
    "translate_y": Operation(lambda view, share_B: translated(view, _zero(view), share_B)),
    "brightness": Operation(brightened, 1.0),  # factors
    "contrast": Operation(contrasted, 1.0),
    "saturation": Operation(saturated, 1.0),
    "sharpen": Operation(sharpened),  # the factor of Pillow's Sharpness minus one
    "posterize": Operation(lambda view, bits_B: posterized(view, bits_B.astype(np.int64)), 8.0),
    "solarize": Operation(solarized, 256.0),  # threshold
    "autocontrast": Operation(lambda view, on_B: autocontrasted(view, on_B > 0)),
    "equalize": Operation(lambda view, on_B: equalized(view, on_B > 0)),
    "invert": Operation(lambda view, on_B: inverted(view, on_B > 0)),
}


def applied(view: ImageView, names: tuple[str, ...], chosen_B: np.ndarray, strength_B: np.ndarray) -> ImageView:
    """Apply the operation `names[chosen_B]` to each sample, at the sample's strength."""
    for number, name in enumerate(names):
        where_B = chosen_B == number
        if where_B.any():
            operation = OPERATIONS[name]
            view = operation.draw(view, np.where(where_B, strength_B, operation.neutral))
    return view


def strength(name: str, level_B: np.ndarray, sign_B: np.ndarray) -> np.ndarray:
    """Return the strength of an operation at a level of 0 … 1, on the scale of AutoAugment and RandAugment.

    Slopes up to 0.3, shifts up to 150 / 331 of the side, rotations up to 30 degrees, factors up to 1 +- 0.9, bits from 8 to 4,
    thresholds from 255 to 0.

    Source: Cubuk et al. 2019, arXiv:1805.09501.
    """
    signed_B = level_B * sign_B
    if name in ("shear_x", "shear_y"):
        return 0.3 * signed_B
    if name in ("translate_x", "translate_y"):
        return 150 / 331 * signed_B
    if name == "rotate":
        return 30 * signed_B
    if name in ("brightness", "contrast", "saturation"):
        return 1 + 0.9 * signed_B
    if name == "sharpen":
        return 0.9 * signed_B
    if name == "posterize":
        return 8 - np.rint(4 * level_B)
    if name == "solarize":
        return 255 * (1 - level_B)
    return np.ones_like(level_B)
