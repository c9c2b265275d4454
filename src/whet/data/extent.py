"""How much of a sample a network is shown at once, and how much of the data that leaves out."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LONGEST_CLIP = 10.0  # seconds that an audio clip is heard at once, unless the recipe says more
MOST_TOKENS = 512  # that a text is shown with, unless the recipe says more
_SINGLE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # of scripts without spaces, each character is a word
_WORDS = re.compile(rf"[{_SINGLE}]|[^\W{_SINGLE}]+|[^\w\s]")


def clip_seconds(seconds_N: Sequence[float] | np.ndarray) -> float:
    """How much of an audio clip is heard at once: so much that 95 of 100 are heard whole, LONGEST_CLIP at most, in steps of 0.1
    s."""
    seconds = float(np.quantile(seconds_N, 0.95))
    return min(LONGEST_CLIP, max(0.1, math.ceil(10 * seconds - 0.1) / 10))


def words_in(text: str) -> int:
    """Words and punctuation marks: about how many tokens a text has before a tokenizer is known."""
    return sum(1 for _ in _WORDS.finditer(text))


@dataclass(frozen=True)
class Truncation:
    """Of `looked_at` samples, `cut` are longer than the limit; `share`: of all that they hold together, the part beyond it."""

    cut: int
    looked_at: int
    share: float

    @classmethod
    def of(cls, extent_N: Sequence[float] | np.ndarray, limit: float) -> Truncation:
        extent = np.asarray(extent_N, dtype=float)
        beyond = np.maximum(extent - limit, 0).sum()
        return cls(int((extent > limit).sum()), len(extent), float(beyond / max(extent.sum(), 1e-12)))

    def text(self, samples: str, limit: str, held: str) -> str:
        """In words: "3 of 40 audio clips are longer than 10 s and are cut: 12 % of all seconds lie beyond"."""
        are = "is" if self.cut == 1 else "are"
        share = f"{100 * self.share:.0f} %" if self.share >= 0.01 else "less than 1 %"
        which = f"{self.cut:,} of {self.looked_at:,} {samples} {are} longer than {limit} and {are} cut"
        return f"{which}: {share} of all {held} lie beyond"
