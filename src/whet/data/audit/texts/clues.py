"""Simple features that may predict a text's class without its content."""

from __future__ import annotations

import numpy as np

from whet.core.language import english
from whet.data.audit.clue import Clue
from whet.data.audit.texts.survey import TextSurvey

_MARKS = ".,;:!?'\"-()/…。，、；：！？“”（）《》"


def _length(survey: TextSurvey, rows: np.ndarray) -> np.ndarray:
    texts = [survey.text_N[row] for row in rows]
    counts = [[len(text), len(text.split()), 1 + text.count("\n")] for text in texts]
    return np.log2(np.array(counts, dtype=float) + 1)


def _marks(survey: TextSurvey, rows: np.ndarray) -> np.ndarray:
    """Counts of each punctuation mark, of other signs, and of digits, on a logarithmic scale."""
    counts = []
    for row in rows:
        text = survey.text_N[row]
        marks = [text.count(mark) for mark in _MARKS]
        signs = sum(not (letter.isalnum() or letter.isspace()) for letter in text) - sum(marks)
        counts.append([*marks, signs, sum(letter.isdigit() for letter in text)])
    return np.log2(np.array(counts, dtype=float) + 1)


def _capitals(survey: TextSurvey, rows: np.ndarray) -> np.ndarray:
    """Shares of capital letters, of words that begin with one and of words in capitals, and whether the first letter is a
    capital."""
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


_COLLECTED = english("part of any score may come from these, a real property or how the texts were collected")
CLUES = (
    Clue(
        english("length"),
        english("the lengths alone (characters, words, lines)"),
        english("part of any score may come from length, a real property or how the texts were collected"),
        _length,
    ),
    Clue(
        english("punctuation"),
        english("punctuation and digits alone"),
        _COLLECTED,
        _marks,
    ),
    Clue(
        english("capitals"),
        english("capital letters alone"),
        _COLLECTED,
        _capitals,
    ),
)
