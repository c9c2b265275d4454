"""What a method that works on token ids must know of the tokenizer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class SpecialIds:
    """The ids of a tokenizer that stand for no part of a text. pad: fills a row up. unknown: stands for what the vocabulary lacks.
    mask: stands for a hidden token, None where the tokenizer has none. frame: what it puts around a text (beginning, end, …)."""

    pad: int
    unknown: int
    mask: int | None = None
    frame: frozenset[int] = frozenset()

    def in_text(self, ids_BL: Tensor) -> Tensor:
        """Which tokens belong to the texts themselves, bool (B, L): neither padding nor frame."""
        import torch

        outside = torch.tensor(sorted({self.pad, *self.frame}), dtype=ids_BL.dtype, device=ids_BL.device)
        return ~torch.isin(ids_BL, outside)


class KnowsTokens(ABC):
    """A SAMPLE method whose `transform_batch` is given token ids. Whoever owns the tokenizer asks once for `knowing(special)`, and
    uses what it gives in the method's place."""

    @abstractmethod
    def knowing(self, special: SpecialIds) -> Self:
        """The same method, told which ids are special."""
