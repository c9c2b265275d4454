from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.segment import Words
from whet.core.stages import Draws
from whet.core.text_view import TextView


class RandomDeletion(Method, Draws, family="augment", tasks={"text-classification"}):
    """Delete random words; at least one word stays.

    Use when: texts are few, or texts at prediction time are shorter than the training texts.
    Do not use when: texts have only one or two words, or one small word ("not") changes the class.
    Source: Wei & Zou 2019, arXiv:1901.11196 (EDA: RD); as word dropout in Iyyer et al. 2015, doi:10.3115/v1/P15-1162.
    Deviates: punctuation is kept.
    Shapes: rewrites view.content_B; each word is deleted with probability `fraction`.
    """

    identity = {"prob": 0.0}
    order = 46

    prob: Annotated[float, Field(ge=0, le=1, description="probability that a text is changed"), Search(0.0, 1.0)] = 0.5
    fraction: Annotated[
        float, Field(gt=0, lt=1, description="probability that a word is deleted"), Search(0.05, 0.5)
    ] = 0.1

    def draw(self, view: TextView, rng: BatchRng) -> TextView:
        if self.prob == 0:
            return view
        acts_B = rng.bernoulli(self.prob)
        unit_BL = rng.uniform(shape=(view.longest(acts_B),)).tolist()
        return view.rewritten(acts_B, lambda i, words: thinned(words, self.fraction, unit_BL[i]))


def thinned(words: Words, fraction: float, unit_L: list[float]) -> Words:
    """Delete the words whose draw is below the fraction. If this is every word, keep the one with the highest draw."""
    lost = [place for place, unit in zip(words.places, unit_L) if unit < fraction]
    if lost and len(lost) == len(words.places):
        lost.pop(max(range(len(lost)), key=unit_L.__getitem__))
    return words.without(lost)
