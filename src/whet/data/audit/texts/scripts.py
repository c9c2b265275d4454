"""Texts in a different script from the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from whet.core.language import english, english_n
from whet.data.audit.finding import Finding, noted

if TYPE_CHECKING:
    from whet.data.audit.texts.survey import TextSurvey

FEW, MOSTLY, LEAST = 0.1, 0.8, 4  # share of the texts; share of a text's letters; number of letters
_RANGES = (  # first code point, script of the following ones; "" is not a letter
    (0x0, ""), (0x41, "Latin"), (0x5B, ""), (0x61, "Latin"), (0x7B, ""), (0xAA, "Latin"), (0xAB, ""), (0xC0, "Latin"),
    (0xD7, ""), (0xD8, "Latin"), (0xF7, ""), (0xF8, "Latin"), (0x2B0, ""), (0x370, "Greek"), (0x400, "Cyrillic"),
    (0x530, "Armenian"), (0x590, "Hebrew"), (0x600, "Arabic"), (0x700, "another"), (0x750, "Arabic"), (0x780, "another"),
    (0x8A0, "Arabic"), (0x900, "Devanagari"), (0x980, "another Indian"), (0xE00, "Thai"), (0xE80, "another"),
    (0x10A0, "Georgian"), (0x1100, "Korean"), (0x1200, "another"), (0x1E00, "Latin"), (0x1F00, "Greek"), (0x2000, ""),
    (0x2E80, "Chinese"), (0x3000, ""), (0x3005, "Chinese"), (0x3008, ""), (0x3041, "Japanese"), (0x30FB, ""),
    (0x30FC, "Japanese"), (0x3100, "Chinese"), (0x3130, "Korean"), (0x3190, ""), (0x3400, "Chinese"), (0x4DC0, ""),
    (0x4E00, "Chinese"), (0xA000, "another"), (0xAC00, "Korean"), (0xD7B0, ""), (0xF900, "Chinese"), (0xFB00, "Latin"),
    (0xFB07, ""), (0xFB1D, "Hebrew"), (0xFB50, "Arabic"), (0xFE00, ""), (0xFE70, "Arabic"), (0xFEFF, ""), (0xFF21, "Latin"),
    (0xFF3B, ""), (0xFF41, "Latin"), (0xFF5B, ""), (0xFF66, "Japanese"), (0xFFA0, "Korean"), (0xFFE0, ""),
    (0x20000, "Chinese"), (0x40000, ""),
)  # fmt: skip
SCRIPTS = tuple(sorted({script for _, script in _RANGES} - {""}))
_STARTS = np.array([start for start, _ in _RANGES])
_NUMBERS = np.array([SCRIPTS.index(script) if script else len(SCRIPTS) for _, script in _RANGES])


def letters_by_script(text: str) -> np.ndarray:
    """The number of letters of each of SCRIPTS in a text, (S,)."""
    code_L = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    number_L = _NUMBERS[np.searchsorted(_STARTS, code_L, side="right") - 1]
    return np.bincount(number_L, minlength=len(SCRIPTS) + 1)[:-1]


def check_scripts(survey: TextSurvey) -> list[Finding]:
    """A text is unusual if at least 80 % of its letters (and four) are in scripts that less than a tenth of the texts use.
    Japanese also uses Chinese characters: these count as usual where there are Japanese texts."""
    letters_NS = survey.letters_NS
    total_N = letters_NS.sum(axis=1)
    share_NS = letters_NS / np.maximum(total_N, 1)[:, None]
    written_S = (share_NS >= 1 - MOSTLY).sum(axis=0)
    usual_S = written_S > FEW * max(1, len(letters_NS))
    if usual_S[SCRIPTS.index("Japanese")]:
        usual_S[SCRIPTS.index("Chinese")] = True
    if not usual_S.any():
        return []
    odd_N = (total_N >= LEAST) & (share_NS[:, ~usual_S].sum(axis=1) >= MOSTLY)
    if not odd_N.any():
        return []
    entries = [
        ((survey.id_N[n],), english("in the {script} script", script=SCRIPTS[letters_NS[n].argmax()]))
        for n in np.flatnonzero(odd_N)
    ]
    text = english_n(
        "{n} text is written in another script than the rest ({usual})",
        "{n:,} texts are written in another script than the rest ({usual})",
        len(entries), usual=", ".join(SCRIPTS[s] for s in np.flatnonzero(usual_S)),
    )  # fmt: skip
    return [noted(english("odd script"), "fact", text, entries)]
