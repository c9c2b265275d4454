"""Grey images among coloured ones, and unusual colour modes."""

from __future__ import annotations

import numpy as np

from whet.core.language import Sentence, english, english_n
from whet.data.audit.dependence import find_shortcuts
from whet.data.audit.finding import Finding, noted
from whet.data.audit.survey import ImageSurvey

GREY = 2.0  # mean difference between the channels, on 0…255
FEW = 0.1
_ODD = {"CMYK": english("for print: its colours are converted"), "I;16": english("16 bit: scaled to 8"),
        "I;16B": english("16 bit: scaled to 8"), "I": english("32 bit: read as 0 to 65,535"),
        "F": english("floating point: read as 0 to 1"), "RGBA": english("transparency: white background"),
        "LA": english("transparency: white background"), "PA": english("transparency: white background")}  # fmt: skip


def check_colours(survey: ImageSurvey) -> list[Finding]:
    """Grey by content (channels differ by at most 2 of 255 on average): a warning where most of one class and few of the others are
    grey, a fact where less than a tenth of all are. Modes that are converted on reading are listed."""
    rows = survey.row_R
    if not len(rows):
        return []
    grey = survey.of_thumbs(rows, _channel_distance) <= GREY
    found = []
    for few in (grey, ~grey):
        if 0 < few.sum() <= FEW * len(rows):
            entries = [((survey.id_N[rows[k]],), "") for k in np.flatnonzero(few)]
            text = (
                english_n(
                    "{n} image is grey among coloured ones", "{n:,} images are grey among coloured ones", len(entries)
                )
                if few is grey
                else english_n(
                    "{n} image is coloured among grey ones", "{n:,} images are coloured among grey ones", len(entries)
                )
            )
            found.append(noted(english("mixed colours"), "fact", text, entries))
    modes = [mode.decode() for mode in survey.of_readable("mode").tolist()]
    odd = [
        ((survey.id_N[row],), english("{what!t} (colour mode {mode})", mode=mode, what=_ODD[mode]))
        for row, mode in zip(rows, modes)
        if mode in _ODD
    ]
    if odd:
        text = english_n(
            "{n} image is stored in an unusual colour mode",
            "{n:,} images are stored in an unusual colour mode",
            len(odd),
        )
        found.append(noted(english("odd colour mode"), "fact", text, odd))
    words = [english("grey") if one else english("coloured") for one in grey]
    return found + find_shortcuts(survey, words, english("colour predicts the class"), Sentence)


def _channel_distance(thumb_BHW3: np.ndarray) -> np.ndarray:
    """The mean difference between the channels, on 0…255."""
    red, green, blue = np.moveaxis(thumb_BHW3, 3, 0)
    most, least = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    return (most - least).mean(axis=(1, 2))
