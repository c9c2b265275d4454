"""Grey images among coloured ones, and unusual colour modes."""

from __future__ import annotations

import numpy as np

from whet.data.audit.dependence import find_shortcuts
from whet.data.audit.finding import Finding, counted, noted
from whet.data.audit.survey import ImageSurvey

GREY = 2.0  # mean difference between the channels, on 0…255
FEW = 0.1
_ODD = {"CMYK": "for print: its colours are converted", "I;16": "16 bit: scaled to 8", "I;16B": "16 bit: scaled to 8",
        "I": "32 bit: read as 0 to 65,535", "F": "floating point: read as 0 to 1", "RGBA": "transparency: white background",
        "LA": "transparency: white background", "PA": "transparency: white background"}  # fmt: skip


def check_colours(survey: ImageSurvey) -> list[Finding]:
    """Grey by content (channels differ by at most 2 of 255 on average): a warning where most of one class and few of the others are
    grey, a fact where less than a tenth of all are. Modes that are converted on reading are listed."""
    rows = survey.row_R
    if not len(rows):
        return []
    grey = survey.of_thumbs(rows, _channel_distance) <= GREY
    found = []
    for few, word in ((grey, "grey among coloured ones"), (~grey, "coloured among grey ones")):
        if 0 < few.sum() <= FEW * len(rows):
            entries = [((survey.id_N[rows[k]],), "") for k in np.flatnonzero(few)]
            found.append(noted("mixed colours", "fact", f"{counted(len(entries), 'image')} {word}", entries))
    modes = [mode.decode() for mode in survey.of_readable("mode").tolist()]
    odd = [((survey.id_N[row],), f"{mode}, {_ODD[mode]}") for row, mode in zip(rows, modes) if mode in _ODD]
    if odd:
        found.append(
            noted("odd colour mode", "fact", f"{counted(len(odd), 'image')} stored in an unusual colour mode", odd)
        )
    return found + find_shortcuts(survey, ["grey" if one else "coloured" for one in grey], "colour", "")


def _channel_distance(thumb_BHW3: np.ndarray) -> np.ndarray:
    """The mean difference between the channels, on 0…255."""
    red, green, blue = np.moveaxis(thumb_BHW3, 3, 0)
    most, least = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    return (most - least).mean(axis=(1, 2))
