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
    """Write some words in lower case, in upper case or with an initial capital.

    Use when: texts are written in all capitals or without capitals, and the tokenizer is cased.
    Do not use when: the tokenizer is uncased, where this has no effect, or case distinguishes the classes (US and us).
    Source: Dhole et al. 2021, arXiv:2112.02721 (NL-Augmenter, its changes of case).
    Deviates: whole words change, not single letters.
    Shapes: rewrites view.content_B.
    """

    identity = {"prob": 0.0}
    order = 70

    prob: Annotated[float, Field(ge=0, le=1, description="probability that a text is changed"), Search(0.0, 1.0)] = 0.5
    fraction: Annotated[
        float, Field(gt=0, le=1, description="fraction of the words whose case changes"), Search(0.02, 0.5)
    ] = 0.1

    def draw(self, view: TextView, rng: BatchRng) -> TextView:
        return noised(view, rng, self.prob, self.fraction, recased) if self.prob else view


def recased(word: str, which: float, _: float) -> str:
    """Write the word in a different case. Words in scripts without case do not change."""
    variants = [
        variant for variant in dict.fromkeys((word.lower(), word.upper(), word.capitalize())) if variant != word
    ]
    return variants[int(which * len(variants))] if variants else word
