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


class SpanCutoff(Method, TransformsBatch, NeedsSpecialIds, family="augment", tasks={"text-classification"}):
    """Replace a span of adjacent tokens by padding in some texts.

    Use when: texts have several sentences, and several parts show the class. Works best with r_drop.
    Do not use when: texts have only a few words.
    Source: Shen et al. 2020, arXiv:2009.13818 (span cutoff).
    Deviates: does not include the paper's consistency loss, which r_drop provides. In a text of several tokens at least one token
    stays.
    Shapes: ids int64 (B, L) -> (B, L); max(1, int(fraction * tokens)) tokens of a text become padding. Special tokens do not
    change.
    """

    identity = {"prob": 0.0}
    order = 80

    prob: Annotated[float, Field(ge=0, le=1, description="probability that a text is changed"), Search(0.0, 1.0)] = 0.5
    fraction: Annotated[
        float,
        Field(gt=0, lt=1, description="length of the span, as a fraction of the text's tokens"),
        Search(0.05, 0.4),
    ] = 0.15

    _special: SpecialIds | None = PrivateAttr(None)

    def with_special_ids(self, special: SpecialIds) -> Self:
        bound = self.model_copy()
        bound._special = special
        return bound

    def transform_batch(self, ids_BL: Tensor, rng: BatchRng) -> Tensor:
        import torch

        if self.prob == 0:
            return ids_BL
        special = require_special_ids(self.name, self._special)
        text_BL = special.in_text(ids_BL)
        position_BL = text_BL.cumsum(dim=1) - 1  # position of each token within its text
        tokens_B = text_BL.sum(dim=1)
        length_B = (tokens_B * self.fraction).long().clamp(min=1) * (tokens_B > 1)
        acts_B = torch.from_numpy(rng.bernoulli(self.prob)).to(ids_BL.device, non_blocking=True)
        where_B = torch.from_numpy(rng.uniform()).to(ids_BL.device, non_blocking=True)
        start_B = (where_B * (tokens_B - length_B + 1)).long()
        cut_BL = (position_BL >= start_B[:, None]) & (position_BL < (start_B + length_B)[:, None])
        return ids_BL.masked_fill(cut_BL & text_BL & acts_B[:, None], special.pad)
