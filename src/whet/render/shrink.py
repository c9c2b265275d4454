"""Downscaling before the warp. Bilinear sampling skips pixels for steps of more than two, so an image that is displayed much
smaller is first reduced by an integer factor: in the JPEG decoder where possible, otherwise by area averaging.

Steps up to 2.5 use bilinear sampling alone: at 224 px, photos of 512 x 384 (a step of 2.3) differ from the ideal area average by
41 dB, compared with 43 dB after a reduction that would cost as much as decoding them.
"""

from __future__ import annotations

import cv2
import numpy as np

from whet.core.view import ImageView

_JPEG_SCALES = (8, 4, 2)
_LARGEST_STEP = 2.5


def sampling_steps(view: ImageView) -> np.ndarray:
    """Source pixels between neighbouring output pixels, along the source's y and x: (B, 2)."""
    linear = view.warp_B33[:, :2, :2] / view.warp_B33[:, 2:, 2:]
    return np.sqrt((linear**2).sum(axis=2))[:, ::-1]  # rows of the matrix: source x, source y


def shrink_factors(view: ImageView) -> np.ndarray:
    """Integer factors to reduce each source by before the warp, along its y and x: int (B, 2), >= 1. The remaining step of the
    bilinear sampling is at most 2.5 source pixels."""
    return np.maximum(np.floor(sampling_steps(view) * (2 / _LARGEST_STEP) + 1e-6), 1).astype(np.int64)


def decoder_factors(factors_B2: np.ndarray) -> np.ndarray:
    """The part of the factor that a JPEG decoder can apply: 8, 4, 2 or 1, int (B,)."""
    smallest_B = factors_B2.min(axis=1, initial=_JPEG_SCALES[0])
    return np.select([smallest_B >= scale for scale in _JPEG_SCALES], _JPEG_SCALES, 1)


def shrink(pixels: np.ndarray, size: tuple[int, int], factor_2: np.ndarray) -> np.ndarray:
    """Reduce an image of full `size` (height, width) by `factor_2` with area averaging, taking into account the reduction by the
    decoder."""
    if factor_2[0] == factor_2[1] == 1:
        return pixels
    height, width = max(1, size[0] // int(factor_2[0])), max(1, size[1] // int(factor_2[1]))
    if pixels.shape[0] < 2 * height and pixels.shape[1] < 2 * width:
        return pixels
    return cv2.resize(pixels, (min(width, pixels.shape[1]), min(height, pixels.shape[0])), interpolation=cv2.INTER_AREA)
