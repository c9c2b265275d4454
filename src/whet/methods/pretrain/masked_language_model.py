from __future__ import annotations

from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from whet.core.batch import Context, Loss, Outcome
from whet.core.errors import RecipeError
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Changes, WrapsLoss
from whet.core.tokens import SpecialIds
from whet.methods.pretrain.pretext import Pretext
from whet.models.front import TextFront
from whet.models.net import Net
from whet.models.token_vectors import ReadsInContext

_MASKED_SHARE, _REPLACED_SHARE = 0.8, 0.1  # of the chosen tokens; the others stay unchanged
_SEEDED = torch.default_generator  # seeded by the caller with `torch_scope` of whet.core.rng


class MaskedLanguageModel(Method, WrapsLoss, Changes, family="pretrain", tasks={"text-pretraining"}):
    """Pre-train the encoder on texts without labels by predicting masked tokens.

    Use when: you have many more texts than labels, or your texts differ from those the encoder was pretrained on (a technical
    vocabulary).
    Do not use when: texts are few and short, or time is short. A pass over the texts costs more than an epoch of training.
    Source: Gururangan et al. 2020, arXiv:2004.10964 (domain- and task-adaptive pre-training); masking: Devlin et al. 2019,
    arXiv:1810.04805.
    Deviates: the prediction layer is new (a linear layer with GELU and LayerNorm, followed by the token embeddings), even if a
    published encoder has its own. It is not saved with the model.
    Shapes: ids int64 (B, L), of which `fraction` are chosen: 80 % masked, 10 % replaced by a random token, 10 % unchanged. The loss
    of a text is the sum of the cross-entropies of its chosen tokens, scaled so that the mean over the batch is the mean over its
    chosen tokens.
    """

    exceptions = {
        "identity": "without it there is no loss to train on",
        "exports": "the check exports networks of images; the network for prediction is not changed",
    }
    waits = "only the chosen tokens are predicted, and their number is known on the device"
    conflicts = frozenset({"byol", "simclr", "simsiam"})
    own_forward = True

    fraction: Annotated[
        float, Field(gt=0, lt=1, description="fraction of the tokens that are chosen"), Search(0.1, 0.4)
    ] = 0.15

    def change(self, net: Net, context: Context) -> Net:
        backbone, _ = _parts(net)
        net.pretext = Pretext(predictor=TokenPredictor(backbone)).to(net.device)
        return net

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        (backbone, front), predictor = _parts(net), net.pretext.predictor
        tokens = front.tokens

        def guessed(outcome: Outcome) -> Tensor:
            ids_BL = outcome.batch.x
            masked_BL, chosen_BL = mask_tokens(ids_BL, tokens.special, len(tokens), self.fraction)
            row_N = chosen_BL.nonzero()[:, 0]
            with outcome.precision():
                states_BLD, _ = backbone.states(masked_BL)
                logits_NV = predictor(states_BLD[chosen_BL]).float()
            found_N = F.cross_entropy(logits_NV, ids_BL[chosen_BL], reduction="none")
            sum_B = found_N.new_zeros(len(ids_BL)).index_add(0, row_N, found_N)
            return loss(outcome) + sum_B * len(ids_BL) / max(len(row_N), 1)

        return guessed


class TokenPredictor(nn.Module):
    """States of tokens (…, D) -> logits of all tokens (…, V), by the dot product with the token embeddings."""

    def __init__(self, backbone: ReadsInContext) -> None:
        super().__init__()
        self._table = [backbone.table]  # in a list, so that it is not registered as a submodule
        width = self._table[0].embedding_dim
        self.transform = nn.Sequential(nn.Linear(backbone.states_width, width), nn.GELU(), nn.LayerNorm(width))
        self.bias = nn.Parameter(torch.zeros(self._table[0].num_embeddings))

    def forward(self, states_ND: Tensor) -> Tensor:
        return F.linear(self.transform(states_ND), self._table[0].weight, self.bias)


def mask_tokens(ids_BL: Tensor, special: SpecialIds, vocabulary: int, fraction: float) -> tuple[Tensor, Tensor]:
    """Returns (ids with the chosen tokens masked, replaced or unchanged; which tokens were chosen, bool (B, L)). Padding and
    special tokens are never chosen."""
    unit_2BL = torch.rand((2, *ids_BL.shape), generator=_SEEDED).to(ids_BL.device)
    others_BL = torch.randint(vocabulary, ids_BL.shape, generator=_SEEDED).to(ids_BL.device)
    chosen_BL = (unit_2BL[0] < fraction) & special.in_text(ids_BL)
    others_BL = torch.where(special.in_text(others_BL), others_BL, ids_BL)
    mask = special.unknown if special.mask is None else special.mask
    masked_BL = ids_BL.masked_fill(chosen_BL & (unit_2BL[1] < _MASKED_SHARE), mask)
    replaced_BL = chosen_BL & (unit_2BL[1] >= 1 - _REPLACED_SHARE)
    return torch.where(replaced_BL, others_BL, masked_BL), chosen_BL


def _parts(net: Net) -> tuple[ReadsInContext, TextFront]:
    """The encoder and its text preprocessing."""
    if not isinstance(net.backbone, ReadsInContext) or not isinstance(net.front, TextFront):
        raise RecipeError(
            f"masked_language_model: {net.spec.architecture} has no contextual token embeddings; accepted: text_transformer, or an "
            "encoder of transformers"
        )
    return net.backbone, net.front
