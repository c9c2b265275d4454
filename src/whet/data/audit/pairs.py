"""Pairs of near-duplicate samples."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from whet.core.language import Sentence, english


@dataclass(frozen=True)
class Pairs:
    """row_P2: numbers of the two samples, the smaller first, in ascending order. likeness_P: similarity, 0 … 1."""

    row_P2: np.ndarray
    likeness_P: np.ndarray

    def __len__(self) -> int:
        return len(self.row_P2)

    def of_rows(self, rows: np.ndarray) -> Self:
        """The same pairs, where sample number i is row rows[i] of a table. `rows` need not be sorted."""
        return replace(self, row_P2=rows[self.row_P2].reshape(-1, 2))

    def describe(self, p: int) -> Sentence:
        """A description of one pair."""
        return english("likeness {likeness:.2f}", likeness=self.likeness_P[p])
