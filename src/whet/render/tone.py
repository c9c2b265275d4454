"""Tone curves: fixed and composed ones, and those that depend on the image's histogram, defined as in Pillow's ImageOps."""

from __future__ import annotations

import numpy as np

from whet.core.view import Tone

LEVELS, BYTES = np.arange(256.0), np.arange(256, dtype=np.uint8)


def rounded(table: np.ndarray) -> np.ndarray:
    """A table as uint8."""
    return np.clip(np.rint(table), 0, 255).astype(np.uint8)


def composed_tables(tones: tuple[Tone, ...], table_BC256: np.ndarray) -> np.ndarray:
    """The composition of this table with the fixed curves of every sample, float (B, C, 256); adaptive curves are skipped. C is 3,
    or 1 while all channels have the same curve."""
    for tone in tones:
        if tone.table_BC256 is not None:
            after = np.take_along_axis(
                np.asarray(tone.table_BC256, dtype=np.float64), rounded(table_BC256).astype(np.int64), axis=2
            )
            table_BC256 = np.where(tone.where_B[:, None, None], after, table_BC256)
    return table_BC256


def adaptive_table(tones: tuple[Tone, ...], i: int, before_C256: np.ndarray, histogram_C256: np.ndarray) -> np.ndarray:
    """The composition of this table with all curves of sample i, float (3, 256), for an image with this histogram."""
    table = None if (before_C256 == BYTES).all() else np.broadcast_to(before_C256, (3, 256))
    for tone in tones:
        if not tone.where_B[i]:
            continue
        levels = None if table is None else rounded(table).astype(np.int64)
        if tone.table_BC256 is not None:
            step = np.broadcast_to(tone.table_BC256[i], (3, 256))
        else:
            # The histogram after the previous curves: counts are moved between bins, without reading the pixels again.
            moved = histogram_C256
            if levels is not None:
                pairs = zip(levels, histogram_C256)
                moved = np.stack([np.bincount(level, weights=counts, minlength=256) for level, counts in pairs])
            step = (equalize_table if tone.adaptive == "equalize" else autocontrast_table)(moved)
        table = step if levels is None else np.take_along_axis(step, levels, axis=1)
    return np.broadcast_to(before_C256, (3, 256)) if table is None else table


def equalize_table(histogram_C256: np.ndarray) -> np.ndarray:
    """The curve that equalises the histogram, float (C, 256); a channel with a single value is unchanged."""
    counts = np.rint(histogram_C256).astype(np.int64)
    brightest = np.take_along_axis(counts, 255 - (counts[:, ::-1] > 0).argmax(axis=1, keepdims=True), axis=1)
    step = (counts.sum(axis=1, keepdims=True) - brightest) // 255
    below = np.cumsum(counts, axis=1) - counts
    flat = np.clip((step // 2 + below) // np.maximum(step, 1), 0, 255)
    return np.where(step > 0, flat, LEVELS).astype(float)


def autocontrast_table(histogram_C256: np.ndarray) -> np.ndarray:
    """The curve that stretches the darkest value to 0 and the brightest to 255, float (C, 256)."""
    used = np.asarray(histogram_C256) > 0
    low, high = used.argmax(axis=1)[:, None], 255 - used[:, ::-1].argmax(axis=1)[:, None]
    stretched = np.clip(np.trunc((LEVELS - low) * (255.0 / np.maximum(high - low, 1))), 0, 255)
    return np.where(high > low, stretched, LEVELS)
