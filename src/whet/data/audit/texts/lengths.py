"""Empty rows, and texts far shorter or longer than the rest."""

from __future__ import annotations

import numpy as np

from whet.core.language import Sentence, english, english_n
from whet.core.media import plural
from whet.data.audit.finding import Finding, noted
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
        text = english(
            "{n} of {total:,} rows or files cannot be used (no text, no label, or not readable) and are left out",
            n=len(entries), total=total,
        )  # fmt: skip
        many = len(entries) > max(1, MAX_LEFT_OUT * total)  # a training stops with an error
        found.append(noted(english("left out"), "problem" if many else "warning", text, entries))
    length_N = survey.extent_N
    usual = float(np.median(length_N))
    odd_N = outliers(np.log2(np.maximum(length_N, 1)), LEAST)
    for kind, chosen_N, described in (
        (english("very short"), odd_N & (length_N < usual), _short),
        (english("very long"), odd_N & (length_N > usual), _long),
    ):
        entries = [((survey.id_N[n],), english("{n:,} characters", n=length_N[n])) for n in np.flatnonzero(chosen_N)]
        if entries:
            found.append(noted(kind, "warning", described(len(entries), usual), entries))
    words_N = np.array([words_in(text) for text in survey.text_N])
    longer = Truncation.of(words_N, MOST_TOKENS)
    if longer.cut:
        limit = english(
            "the {n} words and signs of the default maximum (change it with train.max_tokens)", n=MOST_TOKENS
        )
        entries = [
            ((survey.id_N[n],), english("{n:,} words and signs", n=words_N[n]))
            for n in np.flatnonzero(words_N > MOST_TOKENS)
        ]
        text = longer.text(plural("text"), limit, english("words and signs"))
        found.append(
            noted(english("longer than is read"), "warning" if longer.share >= _MUCH else "fact", text, entries)
        )
    return found


def _short(count: int, usual: float) -> Sentence:
    return english_n(
        "{n} text is far shorter than the rest (median {usual:,.0f} characters)",
        "{n:,} texts are far shorter than the rest (median {usual:,.0f} characters)",
        count, usual=usual,
    )  # fmt: skip


def _long(count: int, usual: float) -> Sentence:
    return english_n(
        "{n} text is far longer than the rest (median {usual:,.0f} characters)",
        "{n:,} texts are far longer than the rest (median {usual:,.0f} characters)",
        count, usual=usual,
    )  # fmt: skip
