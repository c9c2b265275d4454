"""Audio clips in which nothing is heard, and audio clips that are clipped."""

from __future__ import annotations

import numpy as np

from whet.data.audit.audio.audio_print import QUIET
from whet.data.audit.audio.survey import AudioSurvey
from whet.data.audit.finding import Finding, counted, noted

CLIPPED = 0.001  # share of the samples


def check_levels(survey: AudioSurvey) -> list[Finding]:
    """Silent: the loudest hundredth of a second lies below -60 decibels of full scale. Clipped: over 0.1 % of the samples stand at
    full scale, three and more in a row; a lossy format hides a part of these."""
    rows, prints = survey.row_R, survey.prints_N[survey.row_R]
    silent = (prints["before"] >= prints["seconds"] - 1e-6) & (prints["after"] >= prints["seconds"] - 1e-6)
    found = []
    if silent.any():
        entries = [
            ((survey.id_N[rows[k]],), "all zero" if prints["peak"][k] == 0 else f"level {prints['level'][k]:.0f} dB")
            for k in np.flatnonzero(silent)
        ]
        text = f"{counted(len(entries), 'audio')} silent (below {QUIET:.0f} dB of full scale)"
        found.append(noted("silent", "warning", text, entries))
    clipped = np.flatnonzero(prints["clipped"] > CLIPPED)
    if len(clipped):
        entries = [((survey.id_N[rows[k]],), f"{100 * prints['clipped'][k]:.1f} % of it") for k in clipped]
        text = f"{counted(len(entries), 'audio')} clipped: recorded too loud, the tops of the wave are cut off"
        found.append(noted("clipped", "fact", text, entries))
    return found
