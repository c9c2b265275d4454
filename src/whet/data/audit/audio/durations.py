"""Audio clips far shorter or longer than the rest, and durations specific to one class."""

from __future__ import annotations

import numpy as np

from whet.core.language import english, english_n
from whet.core.media import plural
from whet.data.audit.audio.survey import AudioSurvey
from whet.data.audit.dependence import find_shortcuts
from whet.data.audit.finding import Finding, noted
from whet.data.audit.sizes import outliers
from whet.data.extent import Truncation, clip_seconds

_MUCH = 0.01  # share of all seconds
LEAST = 2.0  # in octaves: a quarter of the median duration, or four times


def check_durations(survey: AudioSurvey) -> list[Finding]:
    """Three checks. Outliers by `outliers` on the base-2 logarithm, at least a factor of 4 from the median. A duration, to a
    hundredth of a second, shared by most of one class and few of the others. Audio clips longer than the input length of
    `extent.clip_seconds`."""
    rows = survey.row_R
    if not len(rows):
        return []
    seconds = survey.prints_N["seconds"][rows].astype(float)
    odd = np.flatnonzero(outliers(np.log2(seconds), LEAST))
    found = []
    if len(odd):
        entries = [((survey.id_N[rows[k]],), f"{seconds[k]:.2f} s") for k in odd]
        text = english_n(
            "{n} audio clip is far shorter or longer than the rest (usual {usual:.2f} s)",
            "{n:,} audio clips are far shorter or longer than the rest (usual {usual:.2f} s)",
            len(odd), usual=np.median(seconds),
        )  # fmt: skip
        found.append(noted(english("odd duration"), "warning", text, entries))
    window = clip_seconds(seconds)
    longer = Truncation.of(seconds, window)
    if longer.cut:
        text = longer.text(
            plural("audio"),
            english("the {s:g} s of a training input (train.clip_seconds)", s=window),
            english("seconds"),
        )
        entries = [((survey.id_N[rows[k]],), f"{seconds[k]:.2f} s") for k in np.flatnonzero(seconds > window)]
        found.append(
            noted(english("longer than the window"), "warning" if longer.share >= _MUCH else "fact", text, entries)
        )
    return found + find_shortcuts(
        survey,
        [f"{second:.2f}" for second in seconds],
        english("duration predicts the class"),
        lambda second: english("audio clips of {s} s", s=second),
    )
