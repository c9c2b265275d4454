from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.segment import is_chinese
from whet.core.stages import Draws
from whet.core.text_view import TextView
from whet.methods.augment_text.word_noise import noised


class CharSwap(Method, Draws, family="augment", tasks={"text-classification"}):
    """Swap two adjacent letters inside some words; the first and last letters do not change.

    Use when: texts at prediction time contain typing errors.
    Do not use when: texts are edited, or words are codes and part numbers.
    Source: Belinkov & Bisk 2018, arXiv:1711.02173 (Swap).
    Deviates: one pair is swapped in a fraction of the words; the paper swaps one in every word of four or more letters.
    Shapes: rewrites view.content_B.
    """

    identity = {"prob": 0.0}
    order = 66

    prob: Annotated[float, Field(ge=0, le=1, description="probability that a text is changed"), Search(0.0, 1.0)] = 0.5
    fraction: Annotated[
        float, Field(gt=0, le=1, description="fraction of the words with a swapped pair"), Search(0.02, 0.3)
    ] = 0.1

    def draw(self, view: TextView, rng: BatchRng) -> TextView:
        return noised(view, rng, self.prob, self.fraction, transposed) if self.prob else view


def transposed(word: str, where: float, _: float) -> str:
    """Swap two different adjacent letters inside the word. Chinese words do not change."""
    if is_chinese(word):
        return word
    inner = range(1, len(word) - 2)
    positions = [i for i in inner if word[i] != word[i + 1] and word[i].isalpha() and word[i + 1].isalpha()]
    if not positions:
        return word
    i = positions[int(where * len(positions))]
    return word[:i] + word[i + 1] + word[i] + word[i + 2 :]
