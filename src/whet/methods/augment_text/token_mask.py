from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, PrivateAttr

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import TransformsBatch
from whet.core.tokens import NeedsSpecialIds, SpecialIds
from whet.methods.augment_text.special_ids import require_special_ids

if TYPE_CHECKING:
    from torch import Tensor


class TokenMask(Method, TransformsBatch, NeedsSpecialIds, family="augment", tasks={"text-classification"}):
    """Replace random tokens of every text by the mask token.

    Use when: texts are few, and several words show the class. It has no cost and works for any language.
    Do not use when: texts have only one or two words.
    Source: Devlin et al. 2019, arXiv:1810.04805 (BERT), whose fraction is the default.
    Deviates: all chosen tokens are masked; none are kept or replaced by others. A tokenizer without a mask token uses its unknown
    token, which is the word dropout of Iyyer et al. 2015.
    Shapes: ids int64 (B, L) -> (B, L). Padding and special tokens do not change.
    """

    identity = {"fraction": 0.0}
    order = 82

    fraction: Annotated[float, Field(ge=0, le=1, description="fraction of the tokens masked"), Search(0.05, 0.4)] = 0.15

    _special: SpecialIds | None = PrivateAttr(None)

    def with_special_ids(self, special: SpecialIds) -> Self:
        bound = self.model_copy()
        bound._special = special
        return bound

    def transform_batch(self, ids_BL: Tensor, rng: BatchRng) -> Tensor:
        import torch

        if self.fraction == 0:
            return ids_BL
        special = require_special_ids(self.name, self._special)
        hidden_BL = torch.from_numpy(rng.uniform(shape=(ids_BL.shape[1],)) < self.fraction).to(
            ids_BL.device, non_blocking=True
        )
        mask = special.unknown if special.mask is None else special.mask
        return ids_BL.masked_fill(hidden_BL & special.in_text(ids_BL), mask)
