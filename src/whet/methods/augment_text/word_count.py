"""Number of words that the EDA methods change, and the random draws for them."""

from __future__ import annotations

import numpy as np

from whet.core.rng import BatchRng
from whet.core.text_view import MOST_WORDS, TextView


def changes(fraction: float, words: int) -> int:
    """max(1, int(alpha * words)), as in the authors' code."""
    return max(1, int(fraction * min(words, MOST_WORDS)))


def per_change(view: TextView, rng: BatchRng, where_B: np.ndarray, fraction: float, count: int) -> list[list[float]]:
    """Return a list of `count` uniform draws for each change, for each sample where `where_B` is true.

    Lists may be longer than needed. The used draws do not depend on other samples in the batch, provided that this is the last
    draw of the method from `rng`.
    """
    return rng.uniform(shape=(count * changes(fraction, view.longest(where_B)),)).tolist()
