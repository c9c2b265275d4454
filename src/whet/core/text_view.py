"""The view of a batch of texts: SAMPLE methods change its words; the joined words are the network's input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from whet.core.rng import BatchRng
from whet.core.segment import Chinese, Words, segmented

MOST_WORDS = 10_000
"""Methods process at most this many words of a text; the rest stays unchanged."""


@dataclass(frozen=True)
class TextView:
    """The requested changes to one batch of texts. By default, the texts are unchanged.

    content_B: the original text, or its words once a method needs them; both give the same string. label_B: the samples' classes,
    int (B,), where methods may use them. chinese: how Chinese is split into words.
    """

    content_B: tuple[str | Words, ...]
    label_B: np.ndarray | None = None
    chinese: Chinese = "auto"

    @classmethod
    def whole(cls, texts: Sequence[str], label_B: np.ndarray | None = None, chinese: Chinese = "auto") -> TextView:
        """The view with the original texts."""
        return cls(tuple(texts), label_B, chinese)

    def __len__(self) -> int:
        return len(self.content_B)

    @cached_property
    def words_B(self) -> tuple[Words, ...]:
        """Every text split into words, on first use."""
        return tuple(
            content if isinstance(content, Words) else segmented(content, self.chinese) for content in self.content_B
        )

    def changed_since(self, before: TextView) -> np.ndarray:
        """Which samples differ from `before`, the view this one was derived from: bool (B,)."""
        pairs = zip(self.content_B, before.content_B)
        return np.array([now is not then and str(now) != str(then) for now, then in pairs], dtype=bool)

    def per_word(self, rng: BatchRng, where_B: np.ndarray, count: int) -> np.ndarray:
        """`count` uniform draws for each word of the samples where `where_B` is true, float64 (B, words of the longest, count).

        The draws of a word depend only on its sample and position, not on the rest of the batch, if no further draws are taken from
        `rng`.
        """
        return rng.uniform(shape=(self.longest(where_B), count))

    def longest(self, where_B: np.ndarray) -> int:
        """The number of words of the longest sample where `where_B` is true, at most MOST_WORDS."""
        words_B = self.words_B
        return min(max((len(words_B[i].places) for i in where_B.nonzero()[0].tolist()), default=0), MOST_WORDS)

    def rewritten(self, where_B: np.ndarray, rewrite: Callable[[int, Words], Words]) -> TextView:
        """Rewrite the samples where `where_B` is true: (position in the batch, words) -> words."""
        words = list(self.words_B)
        for i in where_B.nonzero()[0].tolist():
            words[i] = rewrite(i, words[i])
        return replace(self, content_B=tuple(words))

    def with_texts(self, new: dict[int, str]) -> TextView:
        """Replace the texts of some samples, by their position in the batch."""
        return replace(self, content_B=tuple(new.get(i, content) for i, content in enumerate(self.content_B)))
