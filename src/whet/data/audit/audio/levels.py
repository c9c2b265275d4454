"""Silent and clipped audio clips."""

from __future__ import annotations

import numpy as np

from whet.data.audit.audio.audio_print import QUIET
from whet.data.audit.audio.survey import AudioSurvey
from whet.data.audit.finding import Finding, counted, noted

CLIPPED = 0.001  # share of the samples


def check_levels(survey: AudioSurvey) -> list[Finding]:
    """Silent: every hundredth of a second is below -60 dB of full scale. Clipped: over 0.1 % of the samples are at full scale, in
    runs of at least three; a lossy format hides some of them."""
    rows, prints = survey.row_R, survey.prints_N[survey.row_R]
    silent = (prints["before"] >= prints["seconds"] - 1e-6) & (prints["after"] >= prints["seconds"] - 1e-6)
    found = []
    if silent.any():
        entries = [
            ((survey.id_N[rows[k]],), "all zero" if prints["peak"][k] == 0 else f"level {prints['level'][k]:.0f} dB")
            for k in np.flatnonzero(silent)
        ]
        text = f"{counted(len(entries), 'audio clip')} silent (below {QUIET:.0f} dB of full scale)"
        found.append(noted("silent", "warning", text, entries))
    clipped = np.flatnonzero(prints["clipped"] > CLIPPED)
    if len(clipped):
        entries = [((survey.id_N[rows[k]],), f"{100 * prints['clipped'][k]:.1f} % of it") for k in clipped]
        text = f"{counted(len(entries), 'audio clip')} clipped: the recording level was too high, so peaks of the wave are cut off"
        found.append(noted("clipped", "fact", text, entries))
    return found
