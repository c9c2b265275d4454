"""The colours of classes in masks, overlays and reports."""

from __future__ import annotations

import colorsys

import numpy as np

# Black and the seven colours of Okabe & Ito 2008, then those that stay farthest from all before them and from white, for normal
# vision and for full protanopia, deuteranopia and tritanopia (Machado et al. 2009; distances in OKLab).
_APART = (
    "000000", "e69f00", "56b4e9", "009e73", "f0e442", "0072b2", "d55e00", "cc79a7", "5a1e00", "000f96", "784b4b", "a5e1b4",
    "a569ff", "4b0fe1", "b4b487", "b42d87", "4b2d5a", "00f0ff", "c30000", "e1c369", "b4ffa5", "96c3c3", "692db4", "964be1",
    "3cd2ff",
)  # fmt: skip


def colours(num_classes: int) -> np.ndarray:
    """A colour for each class, uint8 (K, 3): black for class 0. The first 8 can be told apart with any colour vision, the first 25
    mostly; further ones have hues in steps of the golden ratio."""
    found = [tuple(bytes.fromhex(colour)) for colour in _APART[:num_classes]]
    for k in range(len(found), num_classes):
        hue, light = 0.09 + 0.618034 * (k - 1), (0.5, 0.36, 0.66)[(k - 1) // 5 % 3]
        found.append(tuple(round(255 * part) for part in colorsys.hls_to_rgb(hue % 1, light, 0.85)))
    return np.array(found, dtype=np.uint8).reshape(-1, 3)


def css_colours(num_classes: int) -> list[str]:
    """The same for a page whose background may be black or white: "#e69f00" …, without black."""
    return ["#{:02x}{:02x}{:02x}".format(*colour) for colour in colours(num_classes + 1)[1:].tolist()]
