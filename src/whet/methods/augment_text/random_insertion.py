from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method, Search, Stage
from whet.core.rng import BatchRng
from whet.core.segment import Words
from whet.core.text_view import TextView
from whet.methods.augment_text.synonyms import EXAMPLE, Lexicon, lexicon
from whet.methods.augment_text.word_count import changes


class RandomInsertion(Method, stage=Stage.SAMPLE, family="augment", tasks={"text-classification"}):
    """Insert synonyms of some of a text's words at random places.

    Use when: texts are few; the words have synonyms in WordNet (English) or in a list of your own (any language).
    Do not use when: the order of words carries the class.
    Source: Wei & Zou 2019, arXiv:1901.11196 (EDA: RI).
    Deviates: words without synonyms are passed over from the start, where the authors' code tries ten times; all places are
    counted in the text as it was.
    Shapes: rewrites view.content_B, max(1, int(fraction * words)) more words a text.
    """

    identity = {"prob": 0.0}
    example = {"path": EXAMPLE}
    order = 42

    prob: Annotated[float, Field(ge=0, le=1, description="share of texts changed"), Search(0.0, 1.0)] = 0.5
    fraction: Annotated[
        float, Field(gt=0, le=1, description="words inserted, as a share of the words"), Search(0.05, 0.5)
    ] = 0.1
    path: Annotated[
        str | None,
        Field(description="your own list, each line a word and its synonyms, parted by commas or tabs; none: WordNet"),
    ] = None

    def draw(self, view: TextView, rng: BatchRng) -> TextView:
        if self.prob == 0:
            return view
        acts_B, synonyms_of = rng.bernoulli(self.prob), lexicon(self.name, self.path)
        unit_BL3 = view.per_word(rng, acts_B, 3)
        return view.rewritten(acts_B, lambda i, words: inserted(words, self.fraction, unit_BL3[i], synonyms_of))


def inserted(words: Words, fraction: float, unit_L3: np.ndarray, synonyms_of: Lexicon) -> Words:
    """Draws of an insertion: of which word, which synonym, before which word."""
    places = words.places
    known = list(filter(None, map(synonyms_of, words.words)))
    if not known:
        return words
    new = []
    for which, choice, where in unit_L3[: changes(fraction, len(places))].tolist():
        synonyms = known[int(which * len(known))]
        new.append((places[int(where * len(places))], synonyms[int(choice * len(synonyms))]))
    return words.inserted(new)
