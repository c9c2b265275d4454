"""Information about the tokenizer, for methods that work on token ids."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class SpecialIds:
    """Ids of a tokenizer that do not represent text. pad: padding. unknown: a token outside the vocabulary. mask: a masked token,
    None where the tokenizer has none. frame: the tokens added around a text (beginning, end, …)."""

    pad: int
    unknown: int
    mask: int | None = None
    frame: frozenset[int] = frozenset()

    def in_text(self, ids_BL: Tensor) -> Tensor:
        """Which tokens belong to the texts themselves, bool (B, L): neither padding nor frame."""
        import torch

        outside = torch.tensor(sorted({self.pad, *self.frame}), dtype=ids_BL.dtype, device=ids_BL.device)
        return ~torch.isin(ids_BL, outside)


class NeedsSpecialIds(ABC):
    """A SAMPLE method whose `transform_batch` receives token ids. The owner of the tokenizer calls `with_special_ids(special)` once
    and uses the returned method instead."""

    @abstractmethod
    def with_special_ids(self, special: SpecialIds) -> Self:
        """The same method with the special ids."""
