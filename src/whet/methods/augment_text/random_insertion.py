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
        fraction_B = np.where(rng.bernoulli(self.prob), self.fraction, 0.0)
        return inserted(view, fraction_B, view.per_word(rng, fraction_B > 0, 3), lexicon(self.name, self.path))


def inserted(view: TextView, fraction_B: np.ndarray, unit_BL3: np.ndarray, synonyms_of: Lexicon) -> TextView:
    """Draws of an insertion: of which word, which synonym, before which word. Fraction 0 leaves a text as it is."""

    def rewrite(i: int, words: Words) -> Words:
        places = words.places
        known = [synonyms for word in words.words if (synonyms := synonyms_of(word))]
        if not known:
            return words
        new = []
        for which, choice, where in unit_BL3[i, : changes(fraction_B[i], len(places))].tolist():
            synonyms = known[int(which * len(known))]
            new.append((places[int(where * len(places))], synonyms[int(choice * len(synonyms))]))
        return words.inserted(new)

    return view.rewritten(fraction_B > 0, rewrite)
