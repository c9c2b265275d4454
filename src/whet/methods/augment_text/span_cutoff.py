from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, PrivateAttr

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import TransformsBatch
from whet.core.tokens import KnowsTokens, SpecialIds
from whet.methods.augment_text.told import require

if TYPE_CHECKING:
    from torch import Tensor


class SpanCutoff(Method, TransformsBatch, KnowsTokens, family="augment", tasks={"text-classification"}):
    """Cut a run of neighbouring tokens out of some texts, as if they were padding.

    Use when: texts are several sentences long, and the class shows in more than one place. Best with r_drop.
    Do not use when: texts are a few words long.
    Source: Shen et al. 2020, arXiv:2009.13818 (span cutoff).
    Deviates: without the paper's loss of consistency, which is r_drop's; in a text of several tokens at least one always stays.
    Shapes: ids int64 (B, L) -> (B, L), max(1, int(fraction * tokens)) of a text becoming padding; what frames a text stays.
    """

    identity = {"prob": 0.0}
    order = 80

    prob: Annotated[float, Field(ge=0, le=1, description="share of texts cut"), Search(0.0, 1.0)] = 0.5
    fraction: Annotated[
        float, Field(gt=0, lt=1, description="length of the run, as a share of the text's tokens"), Search(0.05, 0.4)
    ] = 0.15

    _special: SpecialIds | None = PrivateAttr(None)

    def knowing(self, special: SpecialIds) -> Self:
        told = self.model_copy()
        told._special = special
        return told

    def transform_batch(self, ids_BL: Tensor, rng: BatchRng) -> Tensor:
        import torch

        if self.prob == 0:
            return ids_BL
        special = require(self.name, self._special)
        text_BL = special.in_text(ids_BL)
        place_BL = text_BL.cumsum(dim=1) - 1  # of each token within its text
        tokens_B = text_BL.sum(dim=1)
        length_B = (tokens_B * self.fraction).long().clamp(min=1) * (tokens_B > 1)
        acts_B = torch.from_numpy(rng.bernoulli(self.prob)).to(ids_BL.device)
        where_B = torch.from_numpy(rng.uniform()).to(ids_BL.device)
        start_B = (where_B * (tokens_B - length_B + 1)).long()
        cut_BL = (place_BL >= start_B[:, None]) & (place_BL < (start_B + length_B)[:, None])
        return ids_BL.masked_fill(cut_BL & text_BL & acts_B[:, None], special.pad)
