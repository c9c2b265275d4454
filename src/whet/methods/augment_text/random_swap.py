from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.segment import Words
from whet.core.stages import Draws
from whet.core.text_view import TextView
from whet.methods.augment_text.word_count import changes, per_change


class RandomSwap(Method, Draws, family="augment", tasks={"text-classification"}):
    """Swap random pairs of words within a text.

    Use when: texts are few, and the words matter more than their order.
    Do not use when: word order distinguishes the classes ("dog bites man").
    Source: Wei & Zou 2019, arXiv:1901.11196 (EDA: RS).
    Deviates: the two words always have different positions; punctuation does not move.
    Shapes: rewrites view.content_B, max(1, int(fraction * words)) swaps per text.
    """

    identity = {"prob": 0.0}
    order = 44

    prob: Annotated[float, Field(ge=0, le=1, description="probability that a text is changed"), Search(0.0, 1.0)] = 0.5
    fraction: Annotated[
        float, Field(gt=0, le=1, description="number of swaps, as a fraction of the number of words"), Search(0.05, 0.5)
    ] = 0.1

    def draw(self, view: TextView, rng: BatchRng) -> TextView:
        if self.prob == 0:
            return view
        acts_B = rng.bernoulli(self.prob)
        unit_BM = per_change(view, rng, acts_B, self.fraction, 2)
        return view.rewritten(acts_B, lambda i, words: swapped(words, self.fraction, unit_BM[i]))


def swapped(words: Words, fraction: float, unit_M: list[float]) -> Words:
    """Swap pairs of words. The draws give, for all swaps, the first word, then the distance to the second."""
    places, count = words.places, len(words.places)
    if count < 2:
        return words
    tokens, swaps = list(words.tokens), changes(fraction, count)
    for one, way in zip(unit_M[:swaps], unit_M[swaps : 2 * swaps]):
        a = int(one * count)
        b = (a + 1 + int(way * (count - 1))) % count
        tokens[places[a]], tokens[places[b]] = tokens[places[b]], tokens[places[a]]
    return Words(tuple(tokens), words.gaps)
