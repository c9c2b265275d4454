from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.segment import Words
from whet.core.stages import Draws
from whet.core.text_view import TextView
from whet.methods.augment_text.sentences import joined, sentences


class SentenceShuffle(Method, Draws, family="augment", tasks={"text-classification"}):
    """Shuffle the sentences of a text.

    Use when: texts have several independent sentences, such as reviews or reports.
    Do not use when: order matters, as in an argument or a story. Texts of one sentence do not change.
    Source: Lewis et al. 2020, arXiv:1910.13461 (BART: sentence permutation).
    Deviates: sentences end at . ! ? … and their Chinese forms, so a sentence with an abbreviation may be split.
    Shapes: rewrites view.content_B.
    """

    identity = {"prob": 0.0}
    order = 30

    prob: Annotated[float, Field(ge=0, le=1, description="probability that a text is shuffled"), Search(0.0, 1.0)] = 0.5

    def draw(self, view: TextView, rng: BatchRng) -> TextView:
        if self.prob == 0:
            return view
        acts_B = rng.bernoulli(self.prob)
        unit_BL = view.per_word(rng, acts_B, 1)[..., 0]

        def rewrite(i: int, words: Words) -> Words:
            parts = sentences(words)
            draws = unit_BL[i, : len(words.places)].tolist()
            order = sorted(range(min(len(parts), len(draws))), key=draws.__getitem__)
            return joined(words, parts, [*order, *range(len(order), len(parts))])

        return view.rewritten(acts_B, rewrite)
