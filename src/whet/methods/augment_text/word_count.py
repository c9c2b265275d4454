"""How many words of a text the methods of EDA change."""

from __future__ import annotations


def changes(fraction: float, words: int) -> int:
    """max(1, int(alpha * words)), as in the authors' code."""
    return max(1, int(fraction * words))
