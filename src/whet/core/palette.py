"""The colours of classes in masks, overlays and reports."""

from __future__ import annotations

import colorsys

import numpy as np


def colours(num_classes: int) -> np.ndarray:
    """A colour for each class, uint8 (K, 3): black for class 0, then hues in steps of the golden ratio."""
    found = [(0, 0, 0)]
    for k in range(1, num_classes):
        hue, light = 0.09 + 0.618034 * (k - 1), (0.5, 0.36, 0.66)[(k - 1) // 5 % 3]
        found.append(tuple(round(255 * part) for part in colorsys.hls_to_rgb(hue % 1, light, 0.85)))  # type: ignore[arg-type]
    return np.array(found[:num_classes], dtype=np.uint8)
