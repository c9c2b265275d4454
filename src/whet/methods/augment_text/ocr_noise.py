from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.text_view import TextView
from whet.methods.augment_text.word_noise import noised

# Character shapes that OCR confuses, in both directions.
_PAIRS = (
    "0 O", "0 o", "0 D", "1 l", "1 I", "1 i", "2 Z", "2 z", "5 S", "5 s", "6 G", "6 b", "8 B", "9 g", "9 q", "l I", "l i", "O Q",
    "C G", "E F", "P R", "U V", "V Y", "c e", "c o", "a o", "a e", "h b", "h n", "n u", "u v", "v y", "f t", "i j",
    "rn m", "nn m", "ri n", "cl d", "vv w", "VV W", "li h", "ii u", "fi h", "tl d",
)  # fmt: skip


def _confusions() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for one, other in (pair.split() for pair in _PAIRS):
        found[one] = (*found.get(one, ()), other)
        found[other] = (*found.get(other, ()), one)
    return found


CONFUSIONS = _confusions()
_ANY = re.compile(rf"(?=({'|'.join(sorted(CONFUSIONS, key=len, reverse=True))}))")


class OcrNoise(Method, Draws, family="augment", tasks={"text-classification"}):
    """Replace characters in some words by similar shapes, as OCR errors do: 0 for O, l for 1, rn for m.

    Use when: texts at prediction time come from scans or photographs.
    Do not use when: texts are typed, or not in Latin letters and digits.
    Source: Lopresti 2009, doi:10.1007/s10032-009-0094-8, for the kinds of errors.
    Deviates: the pairs are a small table of similar shapes, all equally likely, and not measured on an OCR system.
    Shapes: rewrites view.content_B.
    """

    identity = {"prob": 0.0}
    order = 68

    prob: Annotated[float, Field(ge=0, le=1, description="probability that a text is changed"), Search(0.0, 1.0)] = 0.5
    fraction: Annotated[
        float, Field(gt=0, le=1, description="fraction of the words with an error"), Search(0.02, 0.3)
    ] = 0.1

    def draw(self, view: TextView, rng: BatchRng) -> TextView:
        return noised(view, rng, self.prob, self.fraction, misread) if self.prob else view


def misread(word: str, where: float, which: float) -> str:
    """Replace one character shape of the word by a similar one."""
    shapes = [(match.start(), match[1]) for match in _ANY.finditer(word)]
    if not shapes:
        return word
    start, shape = shapes[int(where * len(shapes))]
    likes = CONFUSIONS[shape]
    return word[:start] + likes[int(which * len(likes))] + word[start + len(shape) :]
