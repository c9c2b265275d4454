from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method, Search, Stage
from whet.core.rng import BatchRng
from whet.core.segment import Words
from whet.core.text_view import TextView
from whet.methods.augment_text.word_count import changes


class RandomSwap(Method, stage=Stage.SAMPLE, family="augment", tasks={"text-classification"}):
    """Swap pairs of words within a text.

    Use when: texts are few and it matters which words stand in them more than in what order.
    Do not use when: the order of words carries the class ("dog bites man").
    Source: Wei & Zou 2019, arXiv:1901.11196 (EDA: RS).
    Deviates: the two words always stand at different places; punctuation stays where it is.
    Shapes: rewrites view.content_B, max(1, int(fraction * words)) swaps a text.
    """

    identity = {"prob": 0.0}
    order = 44

    prob: Annotated[float, Field(ge=0, le=1, description="share of texts changed"), Search(0.0, 1.0)] = 0.5
    fraction: Annotated[float, Field(gt=0, le=1, description="swaps, as a share of the words"), Search(0.05, 0.5)] = 0.1

    def draw(self, view: TextView, rng: BatchRng) -> TextView:
        if self.prob == 0:
            return view
        fraction_B = np.where(rng.bernoulli(self.prob), self.fraction, 0.0)
        return swapped(view, fraction_B, view.per_word(rng, fraction_B > 0, 2))


def swapped(view: TextView, fraction_B: np.ndarray, unit_BL2: np.ndarray) -> TextView:
    """Draws of a swap: the one word, and how far from it the other. Fraction 0 leaves a text as it is."""

    def rewrite(i: int, words: Words) -> Words:
        places = words.places
        if len(places) < 2:
            return words
        tokens = words.words
        for one, way in unit_BL2[i, : changes(fraction_B[i], len(places))].tolist():
            a = int(one * len(tokens))
            b = (a + 1 + int(way * (len(tokens) - 1))) % len(tokens)
            tokens[a], tokens[b] = tokens[b], tokens[a]
        return words.replaced(dict(zip(places, tokens)))

    return view.rewritten(fraction_B > 0, rewrite)
