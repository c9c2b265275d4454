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
    """Swap two neighbouring letters inside some words; the first and the last letter stay.

    Use when: texts in use are typed in haste; people read such words without noticing.
    Do not use when: texts are edited, or words are codes and part numbers.
    Source: Belinkov & Bisk 2018, arXiv:1711.02173 (Swap).
    Deviates: one pair in a share of the words, where the paper swaps one in every word of four letters or more.
    Shapes: rewrites view.content_B.
    """

    identity = {"prob": 0.0}
    order = 66

    prob: Annotated[float, Field(ge=0, le=1, description="share of texts changed"), Search(0.0, 1.0)] = 0.5
    fraction: Annotated[
        float, Field(gt=0, le=1, description="share of the words with a pair swapped"), Search(0.02, 0.3)
    ] = 0.1

    def draw(self, view: TextView, rng: BatchRng) -> TextView:
        return noised(view, rng, self.prob, self.fraction, transposed) if self.prob else view


def transposed(word: str, where: float, _: float) -> str:
    """Two unequal letters within the word change places; Chinese is no spelling, and stays."""
    if is_chinese(word):
        return word
    inner = range(1, len(word) - 2)
    places = [i for i in inner if word[i] != word[i + 1] and word[i].isalpha() and word[i + 1].isalpha()]
    if not places:
        return word
    i = places[int(where * len(places))]
    return word[:i] + word[i + 1] + word[i] + word[i + 2 :]
