"""The view of a batch of texts: SAMPLE methods rewrite its words; joined again, they are what the network reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from whet.core.rng import BatchRng
from whet.core.segment import Chinese, Words, segmented

MOST_WORDS = 10_000
"""Methods look at this many words of a text at most; what comes after them stays as it is."""


@dataclass(frozen=True)
class TextView:
    """The wish for one batch of texts. Empty, it is the texts as they were given.

    content_B: a text as it was given, or its words once a method asked for them; either gives back the same string. label_B:
    the samples' classes, int (B,), where methods may know them. chinese: how Chinese is cut into words.
    """

    content_B: tuple[str | Words, ...]
    label_B: np.ndarray | None = None
    chinese: Chinese = "auto"

    @classmethod
    def whole(cls, texts: Sequence[str], label_B: np.ndarray | None = None, chinese: Chinese = "auto") -> TextView:
        """The view that shows each text as it is."""
        return cls(tuple(texts), label_B, chinese)

    def __len__(self) -> int:
        return len(self.content_B)

    @cached_property
    def words_B(self) -> tuple[Words, ...]:
        """Every text in words; cut when first asked for."""
        return tuple(
            content if isinstance(content, Words) else segmented(content, self.chinese) for content in self.content_B
        )

    def changed_since(self, before: TextView) -> np.ndarray:
        """Which samples read otherwise than in `before`, the view this one was drawn from: bool (B,)."""
        pairs = zip(self.content_B, before.content_B)
        return np.array([now is not then and str(now) != str(then) for now, then in pairs], dtype=bool)

    def per_word(self, rng: BatchRng, where_B: np.ndarray, count: int) -> np.ndarray:
        """`count` uniform draws for each word of the samples where `where_B` is true, float64 (B, words of the longest, count).

        The draws of a word depend on its sample and its place alone, whatever else is in the batch, as long as this is the last
        that a method asks of `rng`.
        """
        return rng.uniform(shape=(self.longest(where_B), count))

    def longest(self, where_B: np.ndarray) -> int:
        """Words of the longest of the samples where `where_B` is true, MOST_WORDS at most."""
        words_B = self.words_B
        return min(max((len(words_B[i].places) for i in where_B.nonzero()[0].tolist()), default=0), MOST_WORDS)

    def rewritten(self, where_B: np.ndarray, rewrite: Callable[[int, Words], Words]) -> TextView:
        """Rewrite the samples where `where_B` is true: (place in the batch, words) -> words."""
        words = list(self.words_B)
        for i in where_B.nonzero()[0].tolist():
            words[i] = rewrite(i, words[i])
        return replace(self, content_B=tuple(words))

    def retold(self, new: dict[int, str]) -> TextView:
        """Whole new texts for some samples, by their place in the batch."""
        return replace(self, content_B=tuple(new.get(i, content) for i, content in enumerate(self.content_B)))
