"""How many words of a text the methods of EDA change, and the draws that they take for it."""

from __future__ import annotations

import numpy as np

from whet.core.rng import BatchRng
from whet.core.text_view import MOST_WORDS, TextView


def changes(fraction: float, words: int) -> int:
    """max(1, int(alpha * words)), as in the authors' code."""
    return max(1, int(fraction * min(words, MOST_WORDS)))


def per_change(view: TextView, rng: BatchRng, where_B: np.ndarray, fraction: float, count: int) -> list[list[float]]:
    """`count` uniform draws for each change of the samples where `where_B` is true, and more that are not used: a list a sample,
    which does not depend on what else is in the batch, as long as this is the last that a method asks of `rng`."""
    return rng.uniform(shape=(count * changes(fraction, view.longest(where_B)),)).tolist()
