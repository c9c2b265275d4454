"""Silent and clipped audio clips."""

from __future__ import annotations

import numpy as np

from whet.core.language import Sentence, english, english_n
from whet.data.audit.audio.audio_print import QUIET
from whet.data.audit.audio.survey import AudioSurvey
from whet.data.audit.finding import Finding, noted

CLIPPED = 0.001  # share of the samples


def check_levels(survey: AudioSurvey) -> list[Finding]:
    """Silent: every hundredth of a second is below -60 dB of full scale. Clipped: over 0.1 % of the samples are at full scale, in
    runs of at least three; a lossy format hides some of them."""
    rows, prints = survey.row_R, survey.prints_N[survey.row_R]
    silent = (prints["before"] >= prints["seconds"] - 1e-6) & (prints["after"] >= prints["seconds"] - 1e-6)
    found = []
    if silent.any():
        entries = [((survey.id_N[rows[k]],), _level(prints[k])) for k in np.flatnonzero(silent)]
        text = english_n(
            "{n} audio clip is silent (below {level:.0f} dB of full scale)",
            "{n:,} audio clips are silent (below {level:.0f} dB of full scale)",
            len(entries), level=QUIET,
        )  # fmt: skip
        found.append(noted(english("silent"), "warning", text, entries))
    clipped = np.flatnonzero(prints["clipped"] > CLIPPED)
    if len(clipped):
        entries = [
            ((survey.id_N[rows[k]],), english("{share:.1f} % of it", share=100 * prints["clipped"][k])) for k in clipped
        ]
        text = english_n(
            "{n} audio clip is clipped: the recording level was too high, so peaks of the wave are cut off",
            "{n:,} audio clips are clipped: the recording level was too high, so peaks of the wave are cut off",
            len(entries),
        )
        found.append(noted(english("clipped"), "fact", text, entries))
    return found


def _level(print_: np.void) -> Sentence:
    if print_["peak"] == 0:
        return english("all zero")
    return english("level {level:.0f} dB", level=print_["level"])
