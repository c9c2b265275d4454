from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.segment import Words
from whet.core.stages import Draws
from whet.core.text_view import TextView
from whet.methods.augment_text.synonyms import EXAMPLE, Lexicon, lexicon, telling_words
from whet.methods.augment_text.word_count import changes, per_change


class SynonymReplacement(Method, Draws, family="augment", tasks={"text-classification"}):
    """Replace some words by synonyms.

    Use when: texts are few; the words have synonyms in WordNet (English) or in a list of your own (any language).
    Do not use when: single words are terms of art, or the exact wording carries the class.
    Source: Wei & Zou 2019, arXiv:1901.11196 (EDA: SR).
    Deviates: a synonym takes over capitals, and keeps its hyphens.
    Shapes: rewrites view.content_B, max(1, int(fraction * words)) different words a text, each wherever it stands.
    """

    identity = {"prob": 0.0}
    example = {"path": EXAMPLE}
    order = 40

    prob: Annotated[float, Field(ge=0, le=1, description="share of texts changed"), Search(0.0, 1.0)] = 0.5
    fraction: Annotated[float, Field(gt=0, le=1, description="share of the words replaced"), Search(0.05, 0.5)] = 0.1
    path: Annotated[
        str | None,
        Field(description="your own list, each line a word and its synonyms, parted by commas or tabs; none: WordNet"),
    ] = None

    def draw(self, view: TextView, rng: BatchRng) -> TextView:
        if self.prob == 0:
            return view
        acts_B, synonyms_of = rng.bernoulli(self.prob), lexicon(self.name, self.path)
        unit_BM = per_change(view, rng, acts_B, self.fraction, 2)
        return view.rewritten(acts_B, lambda i, words: replaced(words, self.fraction, unit_BM[i], synonyms_of))


def replaced(words: Words, fraction: float, unit_M: list[float], synonyms_of: Lexicon) -> Words:
    """Some words that are no stop words and have synonyms, each replaced wherever it stands. Draws: of every one which word of
    those not yet chosen, then which synonym."""
    known = list(telling_words(words, synonyms_of))
    new, count = {}, changes(fraction, len(words.places))
    for which, choice in zip(unit_M[: min(count, len(known))], unit_M[count : 2 * count]):
        word, synonyms = known.pop(int(which * len(known)))
        new[word] = synonyms[int(choice * len(synonyms))]
    return words.reworded(new)
