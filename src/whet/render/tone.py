"""Tone curves that depend on the picture's own histogram, as Pillow's ImageOps defines them."""

from __future__ import annotations

import numpy as np


def equalize_table(histogram_C256: np.ndarray) -> np.ndarray:
    """The curve that makes the histogram flat, float (C, 256); a channel with one value only is left alone."""
    tables = []
    for histogram in np.asarray(histogram_C256).round().astype(np.int64):
        used = histogram[histogram > 0]
        step = (int(histogram.sum()) - int(used[-1])) // 255 if len(used) > 1 else 0
        if step == 0:
            tables.append(np.arange(256.0))
            continue
        before = np.concatenate([[0], np.cumsum(histogram)[:-1]])
        tables.append(np.clip((step // 2 + before) // step, 0, 255).astype(float))
    return np.stack(tables)


def autocontrast_table(histogram_C256: np.ndarray) -> np.ndarray:
    """The curve that stretches the darkest value to 0 and the brightest to 255, float (C, 256)."""
    tables = []
    for histogram in np.asarray(histogram_C256):
        used = np.flatnonzero(histogram > 0)
        low, high = (used[0], used[-1]) if len(used) else (0, 255)
        if high <= low:
            tables.append(np.arange(256.0))
            continue
        tables.append(np.clip(np.trunc((np.arange(256.0) - low) * (255.0 / (high - low))), 0, 255))
    return np.stack(tables)
