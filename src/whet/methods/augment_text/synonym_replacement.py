from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.segment import Words
from whet.core.stages import Draws
from whet.core.text_view import TextView
from whet.methods.augment_text.synonyms import EXAMPLE, Lexicon, content_words, lexicon
from whet.methods.augment_text.word_count import changes, per_change


class SynonymReplacement(Method, Draws, family="augment", tasks={"text-classification"}):
    """Replace some words by synonyms.

    Use when: texts are few, and the words have synonyms in WordNet (English) or in your own list (any language).
    Do not use when: texts contain technical terms, or the exact wording distinguishes the classes.
    Source: Wei & Zou 2019, arXiv:1901.11196 (EDA: SR).
    Deviates: a synonym takes the case of the word and keeps its hyphens.
    Shapes: rewrites view.content_B, max(1, int(fraction * words)) different words per text, at all their positions.
    """

    identity = {"prob": 0.0}
    example = {"path": EXAMPLE}
    order = 40

    prob: Annotated[float, Field(ge=0, le=1, description="probability that a text is changed"), Search(0.0, 1.0)] = 0.5
    fraction: Annotated[float, Field(gt=0, le=1, description="fraction of the words replaced"), Search(0.05, 0.5)] = 0.1
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
        unit_BM = per_change(view, rng, acts_B, self.fraction, 2)
        return view.rewritten(acts_B, lambda i, words: replaced(words, self.fraction, unit_BM[i], synonyms_of))


def replaced(words: Words, fraction: float, unit_M: list[float], synonyms_of: Lexicon) -> Words:
    """Replace some content words that have synonyms, at all their positions.

    The draws give, for all replacements, the word among those not yet chosen, then the synonym.
    """
    known = list(content_words(words, synonyms_of))
    new, count = {}, changes(fraction, len(words.places))
    for which, choice in zip(unit_M[: min(count, len(known))], unit_M[count : 2 * count]):
        word, synonyms = known.pop(int(which * len(known)))
        new[word] = synonyms[int(choice * len(synonyms))]
    return words.reworded(new)
