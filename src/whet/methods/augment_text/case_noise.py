from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.text_view import TextView
from whet.methods.augment_text.word_noise import noised


class CaseNoise(Method, Draws, family="augment", tasks={"text-classification"}):
    """Write some words in another case: all small, all capitals, or with one capital in front.

    Use when: people shout or never press shift, and the network tells capitals from small letters.
    Do not use when: the tokenizer lowers all letters, where it does nothing; or capitals carry the class (US and us).
    Source: Dhole et al. 2021, arXiv:2112.02721 (NL-Augmenter, its changes of case).
    Deviates: whole words change, not single letters.
    Shapes: rewrites view.content_B.
    """

    identity = {"prob": 0.0}
    order = 70

    prob: Annotated[float, Field(ge=0, le=1, description="share of texts changed"), Search(0.0, 1.0)] = 0.5
    fraction: Annotated[
        float, Field(gt=0, le=1, description="share of the words in another case"), Search(0.02, 0.5)
    ] = 0.1

    def draw(self, view: TextView, rng: BatchRng) -> TextView:
        return noised(view, rng, self.prob, self.fraction, recased) if self.prob else view


def recased(word: str, which: float, _: float) -> str:
    """One of the other ways to write the word; scripts without case stay."""
    ways = [way for way in dict.fromkeys((word.lower(), word.upper(), word.capitalize())) if way != word]
    return ways[int(which * len(ways))] if ways else word
