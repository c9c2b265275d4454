"""Images of unusual size or shape, and sizes specific to one class."""

from __future__ import annotations

import numpy as np

from whet.data.audit.dependence import find_shortcuts
from whet.data.audit.finding import Finding, counted, noted
from whet.data.audit.survey import ImageSurvey

FEW_PIXELS, MANY_PIXELS = 16, 50_000_000  # of the shorter side; of the whole image
WIDE = 5.0  # robust standard deviations
LEAST_SIZE, LEAST_ASPECT = 2.0, 1.0  # in octaves: a factor of 4 of the side; a factor of 2 of the aspect ratio


def check_sizes(survey: ImageSurvey) -> list[Finding]:
    """Outliers of the side (square root of width times height) and of the aspect ratio, by `outliers` on their base-2 logarithms,
    at least a factor of 4 or 2 from the median. Tiny: under 16 pixels on the shorter side where most images are larger. Huge: over
    50 million pixels, slow to train on."""
    rows = survey.row_R
    if not len(rows):
        return []
    height, width = survey.of_readable("height").astype(float), survey.of_readable("width").astype(float)
    side, shape, least = np.log2(height * width) / 2, np.log2(width / height), np.minimum(height, width)
    odd_size = outliers(side, LEAST_SIZE) | ((least < FEW_PIXELS) & (np.median(least) >= FEW_PIXELS))
    odd_shape = outliers(np.abs(shape), LEAST_ASPECT)
    usual = f"{np.median(width):.0f} x {np.median(height):.0f}"
    found = []
    for kind, odd, text in (
        ("odd size", odd_size, f"far smaller or larger than the rest (usual {usual})"),
        ("odd shape", odd_shape & ~odd_size, f"with an unusual aspect ratio (median size {usual})"),
        (
            "huge",
            height * width > MANY_PIXELS,
            "over 50 million pixels: slow to decode, and downscaled for training anyway",
        ),
    ):
        entries = [((survey.id_N[rows[k]],), f"{width[k]:.0f} x {height[k]:.0f}") for k in np.flatnonzero(odd)]
        if entries:
            found.append(
                noted(
                    kind,
                    "warning" if kind == "odd size" else "fact",
                    f"{counted(len(entries), 'image')} {text}",
                    entries,
                )
            )
    values = [f"{w:.0f} x {h:.0f}" for w, h in zip(width, height)]
    return found + find_shortcuts(survey, values, "size", "images of")


def outliers(values_N: np.ndarray, least: float) -> np.ndarray:
    """Values farther from the median than five robust standard deviations (1.4826 times the median absolute deviation) and than
    `least`, bool (N,)."""
    distance = np.abs(values_N - np.median(values_N))
    return distance > max(least, WIDE * 1.4826 * float(np.median(distance)))
