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
        fraction_B = np.where(rng.bernoulli(self.prob), self.fraction, 0.0)
        return replaced(view, fraction_B, view.per_word(rng, fraction_B > 0, 2), lexicon(self.name, self.path))


def replaced(view: TextView, fraction_B: np.ndarray, unit_BL2: np.ndarray, synonyms_of: Lexicon) -> TextView:
    """Some words that are no stop words and have synonyms, in the order of their first draw, each replaced wherever it stands
    by the synonym of its second; fraction 0 leaves a text as it is."""

    def rewrite(i: int, words: Words) -> Words:
        at: dict[str, list[int]] = {}
        key: dict[str, tuple[float, float]] = {}
        for place, (order, choice) in zip(words.places, unit_BL2[i].tolist()):
            at.setdefault(words.tokens[place], []).append(place)
            key.setdefault(words.tokens[place], (order, choice))
        new: dict[int, str] = {}
        left = changes(fraction_B[i], len(words.places))
        for word in sorted(key, key=lambda word: key[word]):
            if is_stop_word(word):
                continue
            if synonyms := synonyms_of(word):
                synonym = synonyms[int(key[word][1] * len(synonyms))]
                new.update(dict.fromkeys(at[word], synonym))
                left -= 1
                if left == 0:
                    break
        return words.replaced(new)

    return view.rewritten(fraction_B > 0, rewrite)
