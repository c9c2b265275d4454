"""Shrinking before the warp. Bilinear sampling aliases when it steps over more than two pixels, so a picture that will be
shown much smaller is first reduced by a whole factor: inside the JPEG decoder where that can be, by area averages where not."""

from __future__ import annotations

import cv2
import numpy as np

from whet.core.view import ImageView

_JPEG_SCALES = (8, 4, 2)


def shrink_factors(view: ImageView) -> np.ndarray:
    """How many whole source pixels lie between neighbouring output pixels, along the source's y and x: int (B, 2), >= 1."""
    linear = view.warp_B33[:, :2, :2] / view.warp_B33[:, 2:, 2:]
    spacing = np.sqrt((linear**2).sum(axis=2))  # rows of the matrix: source x, source y
    return np.maximum(np.floor(spacing[:, ::-1] + 1e-6), 1).astype(np.int64)


def decoder_factor(factor_2: np.ndarray) -> int:
    """The part of the shrinking a JPEG decoder does well: 8, 4, 2 or 1."""
    smallest = min(int(factor_2[0]), int(factor_2[1]))
    return next((scale for scale in _JPEG_SCALES if scale <= smallest), 1)


def shrink(pixels: np.ndarray, size: tuple[int, int], factor_2: np.ndarray) -> np.ndarray:
    """Average whole areas until the picture of full `size` (height, width) is shrunk by `factor_2`; what the decoder did
    already is taken into account."""
    height, width = max(1, size[0] // int(factor_2[0])), max(1, size[1] // int(factor_2[1]))
    if pixels.shape[0] < 2 * height and pixels.shape[1] < 2 * width:
        return pixels
    return cv2.resize(pixels, (min(width, pixels.shape[1]), min(height, pixels.shape[0])), interpolation=cv2.INTER_AREA)
