"""Blank images, and images far less sharp than the rest."""

from __future__ import annotations

import numpy as np

from whet.data.audit.finding import Finding, counted, noted
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
                "blank",
                "warning",
                f"{counted(len(entries), 'image')} blank: a single colour",
                entries,
            )
        )
    checked = np.flatnonzero(~blank & (np.minimum(survey.of_readable("height"), survey.of_readable("width")) >= 64))
    sharpness = survey.of_readable("sharpness")
    sharp = np.log2(np.maximum(sharpness[checked], 0.01))
    low = checked[outliers(sharp, LEAST_BLUR) & (sharp < np.median(sharp))] if len(checked) else checked
    if len(low):
        usual = float(np.median(sharpness[checked]))
        entries = [((survey.id_N[rows[k]],), f"sharpness {sharpness[k]:.1f}, median {usual:.0f}") for k in low]
        found.append(noted("blurred", "fact", f"{counted(len(low), 'image')} far less sharp than the rest", entries))
    return found


def _spread_and_mean(thumb_BHW3: np.ndarray) -> np.ndarray:
    grey_BHW = grey(thumb_BHW3)
    return np.stack([grey_BHW.std(axis=(1, 2)), grey_BHW.mean(axis=(1, 2))], axis=1)


def _shade(mean: float) -> str:
    return "black" if mean < 16 else "white" if mean > 239 else f"grey value {mean:.0f}"
