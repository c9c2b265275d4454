"""The input length of a network for texts and audio clips, and the share of the data beyond it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from whet.core.language import Sentence, english_n

LONGEST_CLIP = 10.0  # maximum input length in seconds, unless the recipe sets clip_seconds
MOST_TOKENS = 512  # maximum input length in tokens, unless the recipe sets max_tokens
_SINGLE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # in scripts without spaces, each character is a word
_WORDS = re.compile(rf"[{_SINGLE}]|[^\W{_SINGLE}]+|[^\w\s]")


def clip_seconds(seconds_N: Sequence[float] | np.ndarray) -> float:
    """The input length for audio clips: the 95 % quantile of their durations, rounded up to 0.1 s, at most LONGEST_CLIP."""
    seconds = float(np.quantile(seconds_N, 0.95))
    return min(LONGEST_CLIP, max(0.1, math.ceil(10 * seconds - 0.1) / 10))


def words_in(text: str) -> int:
    """The number of words and punctuation marks: an estimate of the number of tokens, independent of a tokenizer."""
    return sum(1 for _ in _WORDS.finditer(text))


@dataclass(frozen=True)
class Truncation:
    """Of `looked_at` samples, `cut` are longer than the limit; `share`: the share of the total length beyond it."""

    cut: int
    looked_at: int
    share: float

    @classmethod
    def of(cls, extent_N: Sequence[float] | np.ndarray, limit: float) -> Truncation:
        extent = np.asarray(extent_N, dtype=float)
        beyond = np.maximum(extent - limit, 0).sum()
        return cls(int((extent > limit).sum()), len(extent), float(beyond / max(extent.sum(), 1e-12)))

    def text(self, samples: Sentence, limit: Sentence, held: Sentence) -> Sentence:
        """In words: "3 of 40 audio clips are longer than 10 s and are truncated: 12 % of all seconds are lost"."""
        lost = f"{100 * self.share:.0f} %" if self.share >= 0.01 else "< 1 %"
        return english_n(
            "{n} of {total:,} {samples!t} is longer than {limit!t} and is truncated: {lost} of all {held!t} are lost",
            "{n:,} of {total:,} {samples!t} are longer than {limit!t} and are truncated: {lost} of all {held!t} are lost",
            self.cut, total=self.looked_at, samples=samples, limit=limit, lost=lost, held=held,
        )  # fmt: skip
