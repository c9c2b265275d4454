from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.segment import Words
from whet.core.stages import Draws
from whet.core.text_view import TextView
from whet.methods.augment_text.synonyms import EXAMPLE, Lexicon, known_words, lexicon
from whet.methods.augment_text.word_count import changes, per_change


class RandomInsertion(Method, Draws, family="augment", tasks={"text-classification"}):
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
        unit_BM = per_change(view, rng, acts_B, self.fraction, 3)
        return view.rewritten(acts_B, lambda i, words: inserted(words, self.fraction, unit_BM[i], synonyms_of))


def inserted(words: Words, fraction: float, unit_M: list[float], synonyms_of: Lexicon) -> Words:
    """Draws: of every insertion of which word, then which synonym, then before which word."""
    places = words.places
    known = known_words(words, synonyms_of)
    if not known:
        return words
    new, count = [], changes(fraction, len(places))
    for which, choice, where in zip(unit_M[:count], unit_M[count : 2 * count], unit_M[2 * count : 3 * count]):
        _, synonyms = known[int(which * len(known))]
        new.append((places[int(where * len(places))], synonyms[int(choice * len(synonyms))]))
    return words.inserted(new)
