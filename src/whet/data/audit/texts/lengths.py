"""Empty rows, and texts far shorter or longer than the rest."""

from __future__ import annotations

import numpy as np

from whet.data.audit.finding import Finding, counted, noted
from whet.data.audit.sizes import outliers
from whet.data.audit.texts.survey import TextSurvey
from whet.data.extent import MOST_TOKENS, Truncation, words_in
from whet.data.table import MAX_LEFT_OUT

_MUCH = 0.01  # share of all words, or of all rows
LEAST = 3.0  # in octaves: an eighth of the median length, or eight times


def check_lengths(survey: TextSurvey) -> list[Finding]:
    """Rows and files without a text or a label, which are left out: a problem where they are more than 1 %. Outliers of the number
    of characters, by `outliers` on the base-2 logarithm, at least a factor of 8 from the median. Texts with more words than the
    default maximum of a training."""
    found = []
    if survey.table.skipped:
        entries = [((entry.id,), entry.reason) for entry in survey.table.skipped]
        total = len(survey.table) + len(entries)
        text = f"{len(entries)} of {total:,} rows or files cannot be used (no text, no label, or not readable) and are left out"
        many = len(entries) > max(1, MAX_LEFT_OUT * total)  # a training stops with an error
        found.append(noted("left out", "problem" if many else "warning", text, entries))
    length_N = survey.extent_N
    usual = float(np.median(length_N))
    odd_N = outliers(np.log2(np.maximum(length_N, 1)), LEAST)
    for kind, chosen_N, word in (
        ("very short", odd_N & (length_N < usual), "shorter"),
        ("very long", odd_N & (length_N > usual), "longer"),
    ):
        entries = [((survey.id_N[n],), f"{length_N[n]:,} characters") for n in np.flatnonzero(chosen_N)]
        if entries:
            text = f"{counted(len(entries), 'text')} far {word} than the rest (median {usual:,.0f} characters)"
            found.append(noted(kind, "warning", text, entries))
    words_N = np.array([words_in(text) for text in survey.text_N])
    longer = Truncation.of(words_N, MOST_TOKENS)
    if longer.cut:
        limit = f"the {MOST_TOKENS} words and signs of the default maximum (change it with train.max_tokens)"
        entries = [
            ((survey.id_N[n],), f"{words_N[n]:,} words and signs") for n in np.flatnonzero(words_N > MOST_TOKENS)
        ]
        text = longer.text("texts", limit, "words and signs")
        found.append(noted("longer than is read", "warning" if longer.share >= _MUCH else "fact", text, entries))
    return found
