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
    """Insert synonyms of some words of a text at random positions.

    Use when: texts are few, and the words have synonyms in WordNet (English) or in your own list (any language).
    Do not use when: word order distinguishes the classes.
    Source: Wei & Zou 2019, arXiv:1901.11196 (EDA: RI).
    Deviates: words without synonyms are excluded from the start; the authors' code tries ten times. All positions refer to the
    original text.
    Shapes: rewrites view.content_B, max(1, int(fraction * words)) additional words per text.
    """

    identity = {"prob": 0.0}
    example = {"path": EXAMPLE}
    order = 42

    prob: Annotated[float, Field(ge=0, le=1, description="probability that a text is changed"), Search(0.0, 1.0)] = 0.5
    fraction: Annotated[
        float,
        Field(gt=0, le=1, description="number of inserted words, as a fraction of the number of words"),
        Search(0.05, 0.5),
    ] = 0.1
    path: Annotated[
        str | None,
        Field(
            description="file with a word and its synonyms on each line, separated by commas or tabs; WordNet if none"
        ),
    ] = None

    def draw(self, view: TextView, rng: BatchRng) -> TextView:
        if self.prob == 0:
            return view
        acts_B, synonyms_of = rng.bernoulli(self.prob), lexicon(self.name, self.path)
        unit_BM = per_change(view, rng, acts_B, self.fraction, 3)
        return view.rewritten(acts_B, lambda i, words: inserted(words, self.fraction, unit_BM[i], synonyms_of))


def inserted(words: Words, fraction: float, unit_M: list[float], synonyms_of: Lexicon) -> Words:
    """Insert synonyms. The draws give, for all insertions, the word, then the synonym, then the word to insert before."""
    places = words.places
    known = known_words(words, synonyms_of)
    if not known:
        return words
    new, count = [], changes(fraction, len(places))
    for which, choice, where in zip(unit_M[:count], unit_M[count : 2 * count], unit_M[2 * count : 3 * count]):
        _, synonyms = known[int(which * len(known))]
        new.append((places[int(where * len(places))], synonyms[int(choice * len(synonyms))]))
    return words.inserted(new)
