from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.segment import Words
from whet.core.stages import Draws
from whet.core.text_view import TextView
from whet.methods.augment_text.random_deletion import thinned
from whet.methods.augment_text.random_insertion import inserted
from whet.methods.augment_text.random_swap import swapped
from whet.methods.augment_text.synonym_replacement import replaced
from whet.methods.augment_text.synonyms import EXAMPLE, lexicon
from whet.methods.augment_text.word_count import changes


class EDA(Method, Draws, family="augment", tasks={"text-classification"}):
    """Change each text by one of four operations: synonym replacement, synonym insertion, word swap or word deletion.

    Use when: labelled texts are few (hundreds to a few thousand). It combines the four methods in one line.
    Do not use when: a large pretrained encoder is fine-tuned on many texts (it gains little), or one of the four methods is in the
    recipe. Without WordNet or a list of synonyms use random_swap and random_deletion.
    Source: Wei & Zou 2019, arXiv:1901.11196.
    Deviates: texts are changed anew in each epoch; the paper adds a fixed number of changed copies. `prob` 0.8 corresponds to its
    four copies per text. See the four methods for other differences.
    Shapes: rewrites view.content_B.
    """

    identity = {"prob": 0.0}
    example = {"path": EXAMPLE}
    order = 48
    conflicts = frozenset({"synonym_replacement", "random_insertion", "random_swap", "random_deletion"})

    prob: Annotated[float, Field(ge=0, le=1, description="probability that a text is changed"), Search(0.0, 1.0)] = 0.8
    alpha: Annotated[
        float,
        Field(
            gt=0,
            lt=1,
            description="fraction of the words changed; in the paper 0.05 for few texts, 0.1 from 5,000 texts on",
        ),
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
        acts_B, operation_B = rng.bernoulli(self.prob), rng.integers(4)
        enough = max(3 * changes(self.alpha, view.longest(acts_B)), view.longest(acts_B & (operation_B == 3)))
        unit_BM = rng.uniform(shape=(enough,)).tolist()
        synonyms_of, operations = lexicon(self.name, self.path), operation_B.tolist()

        def rewrite(i: int, words: Words) -> Words:
            match operations[i]:
                case 0:
                    return replaced(words, self.alpha, unit_BM[i], synonyms_of)
                case 1:
                    return inserted(words, self.alpha, unit_BM[i], synonyms_of)
                case 2:
                    return swapped(words, self.alpha, unit_BM[i])
                case _:
                    return thinned(words, self.alpha, unit_BM[i])

        return view.rewritten(acts_B, rewrite)
