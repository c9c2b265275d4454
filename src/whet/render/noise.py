"""Noise that both renderers draw alike: a hash of (key, channel, y, x), so that any pixel can be drawn on its own."""

from __future__ import annotations

import numpy as np


def pixel_noise(key: int, box: tuple[int, int, int, int]) -> np.ndarray:
    """Uniform pixels for the box (x0, y0, x1, y1), uint8 (y1 - y0, x1 - x0, 3). Source: the lowbias32 integer hash of
    C. Wellons (public domain), over the pixel's place exclusive-or the key."""
    x0, y0, x1, y1 = box
    y, x, channel = np.meshgrid(
        np.arange(y0, y1, dtype=np.uint32),
        np.arange(x0, x1, dtype=np.uint32),
        np.arange(3, dtype=np.uint32),
        indexing="ij",
    )
    word = (y * np.uint32(65537) + x) * np.uint32(3) + channel + np.uint32(key)
    word ^= word >> np.uint32(16)
    word *= np.uint32(0x7FEB352D)
    word ^= word >> np.uint32(15)
    word *= np.uint32(0x846CA68B)
    word ^= word >> np.uint32(16)
    return (word >> np.uint32(24)).astype(np.uint8)
