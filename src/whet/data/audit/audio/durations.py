"""Audio clips far shorter or longer than the rest, and durations that belong to one class."""

from __future__ import annotations

import numpy as np

from whet.data.audit.audio.survey import AudioSurvey
from whet.data.audit.dependence import told_apart
from whet.data.audit.finding import Finding, counted, noted
from whet.data.audit.sizes import outliers
from whet.data.extent import Truncation, clip_seconds

_MUCH = 0.01  # of all seconds
LEAST = 2.0  # doublings: a quarter or four times the usual duration


def check_durations(survey: AudioSurvey) -> list[Finding]:
    """Outliers by `outliers` on the base-2 logarithm: never nearer to the median than a factor of 4. A duration, to a
    hundredth of a second, that nearly all of one class and few of the others have. Audio clips longer than what is heard at once,
    by the rule of `extent.clip_seconds`."""
    rows = survey.row_R
    if not len(rows):
        return []
    seconds = survey.prints_N["seconds"][rows].astype(float)
    odd = np.flatnonzero(outliers(np.log2(seconds), LEAST))
    found = []
    if len(odd):
        entries = [((survey.id_N[rows[k]],), f"{seconds[k]:.2f} s") for k in odd]
        text = f"{counted(len(odd), 'audio')} far shorter or longer than the rest (usual {np.median(seconds):.2f} s)"
        found.append(noted("odd duration", "warning", text, entries))
    heard = clip_seconds(seconds)
    longer = Truncation.of(seconds, heard)
    if longer.cut:
        text = longer.text("audio", f"the {heard:g} s that training hears at once (train.clip_seconds)", "seconds")
        entries = [((survey.id_N[rows[k]],), f"{seconds[k]:.2f} s") for k in np.flatnonzero(seconds > heard)]
        found.append(noted("longer than the window", "warning" if longer.share >= _MUCH else "fact", text, entries))
    return found + told_apart(survey, [f"{second:.2f} s" for second in seconds], "duration", "audio clips of")
