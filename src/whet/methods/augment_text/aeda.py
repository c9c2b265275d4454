from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.segment import Words, is_chinese
from whet.core.stages import Draws
from whet.core.text_view import TextView

_MARKS, _CHINESE_MARKS = ".;?:!,", "。；？：！，"


class AEDA(Method, Draws, family="augment", tasks={"text-classification"}):
    """Insert punctuation marks before some words; all words and their order stay the same.

    Use when: texts are few and no word may be lost or changed. It works for any language.
    Do not use when: punctuation distinguishes the classes, or the tokenizer drops it.
    Source: Karimi, Rossi, Prati 2021, arXiv:2108.13230.
    Deviates: Chinese punctuation marks are used between Chinese words.
    Shapes: rewrites view.content_B. Each text gets between 1 and fraction * words + 1 marks, before different words.
    """

    identity = {"prob": 0.0}
    order = 50

    prob: Annotated[float, Field(ge=0, le=1, description="probability that a text is changed"), Search(0.0, 1.0)] = 0.5
    fraction: Annotated[
        float,
        Field(gt=0, le=1, description="largest number of inserted marks, as a fraction of the number of words"),
        Search(0.1, 0.5),
    ] = 0.3

    def draw(self, view: TextView, rng: BatchRng) -> TextView:
        if self.prob == 0:
            return view
        acts_B, count_B = rng.bernoulli(self.prob), rng.uniform()
        unit_BL2 = view.per_word(rng, acts_B, 2)

        def rewrite(i: int, words: Words) -> Words:
            draws = sorted(zip(unit_BL2[i].tolist(), words.places))
            most = min(int(self.fraction * len(words.places)) + 1, len(draws))
            return words.inserted(
                [(place, _mark(words, place, which)) for (_, which), place in draws[: 1 + int(count_B[i] * most)]]
            )

        return view.rewritten(acts_B, rewrite)


def _mark(words: Words, place: int, which: float) -> str:
    chinese = is_chinese(words.tokens[place]) and (place == 0 or is_chinese(words.tokens[place - 1]))
    marks = _CHINESE_MARKS if chinese else _MARKS
    return marks[int(which * len(marks))]
