from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method, Search, Stage
from whet.core.rng import BatchRng
from whet.core.segment import Words
from whet.core.text_view import TextView
from whet.methods.augment_text.synonyms import EXAMPLE, Lexicon, is_stop_word, lexicon
from whet.methods.augment_text.word_count import changes


class SynonymReplacement(Method, stage=Stage.SAMPLE, family="augment", tasks={"text-classification"}):
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
        unit_BL2 = view.per_word(rng, acts_B, 2)
        return view.rewritten(acts_B, lambda i, words: replaced(words, self.fraction, unit_BL2[i], synonyms_of))


def replaced(words: Words, fraction: float, unit_L2: np.ndarray, synonyms_of: Lexicon) -> Words:
    """Some words that are no stop words and have synonyms, in the order of their first draw, each replaced wherever it stands
    by the synonym of its second."""
    places = words.places[: len(unit_L2)]
    tokens = [words.tokens[place] for place in places]
    order = unit_L2[: len(places), 0].tolist()
    new: dict[int, str] = {}
    left = changes(fraction, len(words.places))
    for k in sorted(range(len(places)), key=order.__getitem__):
        word = tokens[k]
        if is_stop_word(word) or tokens.index(word) < k:  # its first draws count
            continue
        if synonyms := synonyms_of(word):
            synonym = synonyms[int(unit_L2[k, 1] * len(synonyms))]
            new |= {place: synonym for place, token in zip(places, tokens) if token == word}
            left -= 1
            if left == 0:
                break
    return words.replaced(new)
