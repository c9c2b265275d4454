"""Text starts or ends shared by many texts of one class: a disclaimer, a signature, a template."""

from __future__ import annotations

from collections import Counter

import numpy as np

from whet.core.language import english
from whet.data.audit.finding import Finding
from whet.data.audit.texts.near import width
from whet.data.audit.texts.survey import TextSurvey

LEAST_WIDTH = 20  # letters, a Chinese one counts for two
MANY, COUNT, LITTLE = 0.1, 10, 0.2  # share of the class; number of texts; relative frequency in other classes
KEPT = 0.9  # share of these texts that must still match a longer prefix
_SHOWN = 60


def check_boilerplate(survey: TextSurvey) -> list[Finding]:
    """For each class, the most frequent start and end of at least 20 letters (10 Chinese ones), if a tenth of the class's texts,
    and ten, have it; extended as long as nine tenths of them match. Near-duplicates count once. A warning where it predicts the
    class: it is at most a fifth as frequent elsewhere; otherwise a fact."""
    rows = np.unique(survey.unit_N, return_index=True)[1]
    true_RK = survey.true_NK[rows]
    plain_R = [" ".join(survey.text_N[row].split()) for row in rows]
    found = []
    for side, texts in (("begin", plain_R), ("end", [plain[::-1] for plain in plain_R])):
        for k, name in enumerate(survey.table.classes):
            own = [text for text, true in zip(texts, true_RK[:, k]) if true]
            shared = _shared(own)
            if not shared:
                continue
            count = sum(text.startswith(shared) for text in own)
            others = len(texts) - len(own)
            elsewhere = (sum(text.startswith(shared) for text in texts) - count) / max(1, others)
            revealing = elsewhere <= LITTLE * count / len(own)
            quoted = shared if side == "begin" else shared[::-1]
            quoted = quoted if len(quoted) <= _SHOWN else f"{quoted[:_SHOWN]}…"
            values = {"share": 100 * count / len(own), "name": name, "phrase": quoted, "elsewhere": 100 * elsewhere}
            text = (
                english(
                    "{share:.0f} % of {name} begin with “{phrase}”, and {elsewhere:.0f} % of the other classes",
                    **values,
                )
                if side == "begin"
                else english(
                    "{share:.0f} % of {name} end with “{phrase}”, and {elsewhere:.0f} % of the other classes", **values
                )
            )
            if revealing:
                text = english("{what!t}: a model may learn the phrase instead of the content", what=text)
            members = tuple(
                (survey.id_N[row],)
                for row, plain, true in zip(rows, texts, true_RK[:, k])
                if true and plain.startswith(shared)
            )
            found.append(Finding(english("boilerplate"), "warning" if revealing else "fact", text, members))
    return found


def _shared(texts: list[str]) -> str:
    """The prefix that enough texts share, "" where there is none."""
    starts = Counter(start for text in texts if (start := _start(text)))
    if not starts:
        return ""
    shared, count = starts.most_common(1)[0]
    if count < max(COUNT, MANY * len(texts)):
        return ""
    left, least = [text for text in texts if text.startswith(shared)], KEPT * count
    while True:
        letters = Counter(text[len(shared)] for text in left if len(text) > len(shared))
        if not letters or letters.most_common(1)[0][1] < least:
            return shared
        shared += letters.most_common(1)[0][0]
        left = [text for text in left if text.startswith(shared)]


def _start(text: str) -> str:
    """The shortest prefix that is wide enough; "" where the text is not longer than that."""
    for length in range(LEAST_WIDTH // 2, min(LEAST_WIDTH, len(text) - 1) + 1):
        if width(text[:length]) >= LEAST_WIDTH:
            return text[:length]
    return ""
