"""Images of unusual size or shape, and sizes specific to one class."""

from __future__ import annotations

import numpy as np

from whet.core.language import Sentence, english, english_n
from whet.data.audit.dependence import find_shortcuts
from whet.data.audit.finding import Finding, Severity, noted
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
    for kind, odd, described in (
        (english("odd size"), odd_size, lambda n: _far(n, usual)),
        (english("odd shape"), odd_shape & ~odd_size, lambda n: _long(n, usual)),
        (english("huge"), height * width > MANY_PIXELS, _huge),
    ):
        entries = [((survey.id_N[rows[k]],), f"{width[k]:.0f} x {height[k]:.0f}") for k in np.flatnonzero(odd)]
        if entries:
            severity: Severity = "warning" if kind == "odd size" else "fact"
            found.append(noted(kind, severity, described(len(entries)), entries))
    values = [f"{w:.0f} x {h:.0f}" for w, h in zip(width, height)]
    return found + find_shortcuts(
        survey,
        values,
        english("size predicts the class"),
        lambda size: english("images of {size} pixels", size=size),
    )


def _far(n: int, usual: str) -> Sentence:
    return english_n(
        "{n} image is far smaller or larger than the rest (usual {size})",
        "{n:,} images are far smaller or larger than the rest (usual {size})",
        n, size=usual,
    )  # fmt: skip


def _long(n: int, usual: str) -> Sentence:
    return english_n(
        "{n} image has an unusual aspect ratio (median size {size})",
        "{n:,} images have an unusual aspect ratio (median size {size})",
        n, size=usual,
    )  # fmt: skip


def _huge(n: int) -> Sentence:
    return english_n(
        "{n} image has over 50 million pixels: slow to decode, and downscaled for training anyway",
        "{n:,} images have over 50 million pixels: slow to decode, and downscaled for training anyway",
        n,
    )


def outliers(values_N: np.ndarray, least: float) -> np.ndarray:
    """Values farther from the median than five robust standard deviations (1.4826 times the median absolute deviation) and than
    `least`, bool (N,)."""
    distance = np.abs(values_N - np.median(values_N))
    return distance > max(least, WIDE * 1.4826 * float(np.median(distance)))
