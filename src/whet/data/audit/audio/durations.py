"""Audio clips far shorter or longer than the rest, and durations specific to one class."""

from __future__ import annotations

import numpy as np

from whet.data.audit.audio.survey import AudioSurvey
from whet.data.audit.dependence import find_shortcuts
from whet.data.audit.finding import Finding, counted, noted
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
        text = (
            f"{counted(len(odd), 'audio clip')} far shorter or longer than the rest (usual {np.median(seconds):.2f} s)"
        )
        found.append(noted("odd duration", "warning", text, entries))
    window = clip_seconds(seconds)
    longer = Truncation.of(seconds, window)
    if longer.cut:
        text = longer.text("audio clips", f"the {window:g} s of a training input (train.clip_seconds)", "seconds")
        entries = [((survey.id_N[rows[k]],), f"{seconds[k]:.2f} s") for k in np.flatnonzero(seconds > window)]
        found.append(noted("longer than the window", "warning" if longer.share >= _MUCH else "fact", text, entries))
    return found + find_shortcuts(survey, [f"{second:.2f} s" for second in seconds], "duration", "audio clips of")
