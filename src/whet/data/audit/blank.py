"""Blank images, and images far less sharp than the rest."""

from __future__ import annotations

import numpy as np

from whet.core.language import Sentence, english, english_n
from whet.data.audit.finding import Finding, noted
from whet.data.audit.near import grey
from whet.data.audit.sizes import outliers
from whet.data.audit.survey import ImageSurvey

NOTHING = 3.0  # standard deviation of the small grey image, on 0…255
LEAST_BLUR = 2.0  # in octaves: a quarter of the median sharpness


def check_blank(survey: ImageSurvey) -> list[Finding]:
    """Blank: the standard deviation of the grey image at 48 x 48 is below 3 of 255. Blurred: its sharpness (the standard deviation
    of the Laplacian) is below a quarter of the median, and beyond the robust bound of `outliers`; only images of at least 64
    pixels a side are checked."""
    rows = survey.row_R
    if not len(rows):
        return []
    spread, mean = survey.of_thumbs(rows, _spread_and_mean).T
    blank = spread < NOTHING
    found = []
    if blank.any():
        entries = [((survey.id_N[rows[k]],), _shade(float(mean[k]))) for k in np.flatnonzero(blank)]
        found.append(
            noted(
                english("blank"),
                "warning",
                english_n(
                    "{n} image is blank: a single colour", "{n:,} images are blank: a single colour", len(entries)
                ),
                entries,
            )
        )
    checked = np.flatnonzero(~blank & (np.minimum(survey.of_readable("height"), survey.of_readable("width")) >= 64))
    sharpness = survey.of_readable("sharpness")
    sharp = np.log2(np.maximum(sharpness[checked], 0.01))
    low = checked[outliers(sharp, LEAST_BLUR) & (sharp < np.median(sharp))] if len(checked) else checked
    if len(low):
        usual = float(np.median(sharpness[checked]))
        entries = [((survey.id_N[rows[k]],), _sharp(sharpness[k], usual)) for k in low]
        text = english_n(
            "{n} image is far less sharp than the rest", "{n:,} images are far less sharp than the rest", len(low)
        )
        found.append(noted(english("blurred"), "fact", text, entries))
    return found


def _spread_and_mean(thumb_BHW3: np.ndarray) -> np.ndarray:
    grey_BHW = grey(thumb_BHW3)
    return np.stack([grey_BHW.std(axis=(1, 2)), grey_BHW.mean(axis=(1, 2))], axis=1)


def _sharp(sharpness: float, usual: float) -> Sentence:
    return english("sharpness {sharpness:.1f}, median {usual:.0f}", sharpness=sharpness, usual=usual)


def _shade(mean: float) -> Sentence:
    if mean < 16:
        return english("black")
    return english("white") if mean > 239 else english("grey value {value:.0f}", value=mean)
