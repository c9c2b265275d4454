"""What may give a text's class away without its being read."""

from __future__ import annotations

import numpy as np

from whet.data.audit.clue import Clue
from whet.data.audit.texts.survey import TextSurvey

_MARKS = ".,;:!?'\"-()/…。，、；：！？“”（）《》"


def _length(survey: TextSurvey, rows: np.ndarray) -> np.ndarray:
    texts = [survey.text_N[row] for row in rows]
    counts = [[len(text), len(text.split()), 1 + text.count("\n")] for text in texts]
    return np.log2(np.array(counts, dtype=float) + 1)


def _marks(survey: TextSurvey, rows: np.ndarray) -> np.ndarray:
    """How many of each mark, of other signs, and of digits; on a scale where few differ more than many."""
    counts = []
    for row in rows:
        text = survey.text_N[row]
        marks = [text.count(mark) for mark in _MARKS]
        signs = sum(not (letter.isalnum() or letter.isspace()) for letter in text) - sum(marks)
        counts.append([*marks, signs, sum(letter.isdigit() for letter in text)])
    return np.log2(np.array(counts, dtype=float) + 1)


def _capitals(survey: TextSurvey, rows: np.ndarray) -> np.ndarray:
    """Shares of capital letters and of words that begin with one or are all capitals, and whether the first letter is one."""
    shares = []
    for row in rows:
        text = survey.text_N[row]
        letters, words = max(1, sum(letter.isalpha() for letter in text)), text.split()
        shares.append([
            sum(letter.isupper() for letter in text) / letters,
            sum(word[0].isupper() for word in words) / max(1, len(words)),
            sum(len(word) > 1 and word.isupper() for word in words) / max(1, len(words)),
            float(text.lstrip()[:1].isupper()),
        ])  # fmt: skip
    return np.array(shares)


_LEARNT = "which may be the matter itself or how the texts were gathered"
CLUES = (
    Clue("length", "the lengths alone (characters, words, lines)", f"part of any score is length, {_LEARNT}", _length),
    Clue("punctuation", "punctuation and digits alone", f"part of any score is these, {_LEARNT}", _marks),
    Clue("capitals", "capital letters alone", f"part of any score is these, {_LEARNT}", _capitals),
)
