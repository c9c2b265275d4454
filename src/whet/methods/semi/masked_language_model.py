from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from whet.core.batch import Context
from whet.core.errors import DataError, NoEffectError
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Initialises
from whet.core.tokens import SpecialIds
from whet.data.folder import TEXTS, files_below
from whet.data.text_table import read_unlabelled_texts
from whet.models.front import TextFront
from whet.models.net import Net
from whet.models.token_vectors import ReadsInContext

_MASKED_SHARE, _REPLACED_SHARE = 0.8, 0.1  # of the chosen tokens; the others stay unchanged
_SEEDED = torch.default_generator  # seeded by the caller with `torch_scope` of whet.core.rng
_WARMUP_SHARE = 0.1  # fraction of the steps in which the learning rate increases; it then decreases to zero


class MaskedLanguageModel(Method, Initialises, family="semi", tasks={"text-classification"}):
    """Before the training, pretrain the encoder on your texts, labeled or not, to predict masked tokens.

    Use when: you have many more texts than labels, or your texts differ from those the encoder was pretrained on (a technical
    vocabulary).
    Do not use when: texts are few and short, or time is short. A pass over the texts costs as much as an epoch of training.
    Source: Gururangan et al. 2020, arXiv:2004.10964 (domain- and task-adaptive pre-training); masking: Devlin et al. 2019,
    arXiv:1810.04805.
    Deviates: the prediction layer is new (a linear layer with GELU and LayerNorm, followed by the token embeddings), even if a
    published encoder has its own. It is discarded after the pretraining.
    Shapes: ids int64 (B, L), of which `fraction` are chosen: 80 % masked, 10 % replaced by a random token, 10 % unchanged -> the
    mean cross-entropy of the chosen ones. Every trainable weight of the backbone is updated.
    """

    identity = {"epochs": 0}
    order = 10  # runs after from_run and before a head is fitted to the features

    texts: Annotated[
        str | None,
        Field(
            description="your texts: a folder of .txt files, a .txt file with one text per line, or a table with a text column; "
            "none: the training texts without their labels"
        ),
    ] = None
    epochs: Annotated[int, Field(ge=0, description="passes over the texts"), Search(1, 30, log=True)] = 5
    lr: Annotated[
        float,
        Field(gt=0, description="peak learning rate of AdamW; about 5e-5 for a pretrained encoder"),
        Search(1e-5, 3e-3, log=True),
    ] = 5e-4
    batch_size: Annotated[int, Field(ge=1, description="texts per step")] = 32
    fraction: Annotated[
        float, Field(gt=0, lt=1, description="fraction of the tokens that are chosen"), Search(0.1, 0.4)
    ] = 0.15
    max_tokens: Annotated[int, Field(ge=8, description="maximum number of tokens per text")] = 128

    def initialise(self, net: Net, context: Context) -> None:
        if self.epochs == 0:
            return
        backbone, _ = _parts(net)
        if not any(parameter.requires_grad for parameter in backbone.parameters()):
            raise NoEffectError("every weight of the encoder is frozen")
        self.adapt(net, _read(self.texts) if self.texts else context.texts())

    def adapt(self, net: Net, texts: Sequence[str]) -> list[float]:
        """Train the encoder on these texts. Returns the mean loss of each pass, in nats per chosen token. Uses torch's random
        generator."""
        backbone, front = _parts(net)
        tokens, predictor = front.tokens, TokenPredictor(backbone).to(net.device)
        parameters = [p for p in (*backbone.parameters(), *predictor.parameters()) if p.requires_grad]
        optimizer = torch.optim.AdamW(parameters, lr=self.lr, weight_decay=0.01)
        batches = math.ceil(len(texts) / self.batch_size)
        total = self.epochs * batches
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _factor((step + 1) / (total + 1)))
        limit = min(self.max_tokens, net.spec.native_size or self.max_tokens)
        lengths = torch.tensor([len(text) for text in texts])
        training = net.training
        losses: list[float] = []
        net.train()
        for _ in range(self.epochs):
            order = torch.randperm(len(texts), generator=_SEEDED)
            order = order[lengths[order].argsort(stable=True)]  # similar lengths in one batch, so that little is padded
            total_loss, count = 0.0, 0
            for batch in torch.randperm(batches, generator=_SEEDED).tolist():
                chosen_B = order[batch * self.batch_size : (batch + 1) * self.batch_size].tolist()
                ids_BL = front.receive([texts[i] for i in chosen_B], limit)
                masked_BL, chosen_BL = mask_tokens(ids_BL, tokens.special, len(tokens), self.fraction)
                if not chosen_BL.any():
                    continue
                states_BLD, _ = backbone.states(masked_BL)
                loss = F.cross_entropy(predictor(states_BLD[chosen_BL]), ids_BL[chosen_BL])
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(parameters, 1.0)
                optimizer.step()
                schedule.step()
                total_loss, count = total_loss + loss.item() * int(chosen_BL.sum()), count + int(chosen_BL.sum())
            losses.append(total_loss / max(count, 1))
        net.train(training)
        net.zero_grad()
        return losses


class TokenPredictor(nn.Module):
    """States of tokens (N, D) -> logits of all tokens (N, V), by the dot product with the token embeddings."""

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
        raise NoEffectError(
            f"{net.spec.architecture} has no contextual token embeddings; "
            "accepted: text_transformer, or an encoder of transformers"
        )
    return net.backbone, net.front


def _factor(progress: float) -> float:
    return min(progress / _WARMUP_SHARE, (1 - progress) / (1 - _WARMUP_SHARE))


def _read(source: str) -> list[str]:
    """The texts of a folder, a .txt file or a table. Raises DataError if there are none."""
    path = Path(source).expanduser()
    if path.is_dir():
        found = [text for file in files_below(path, TEXTS) for text in read_unlabelled_texts(file)]
    elif path.is_file():
        read = read_unlabelled_texts(path)
        found = read[0].split("\n") if path.suffix.lower() in TEXTS.suffixes else read
    else:
        raise DataError(f"masked_language_model.texts: {source} does not exist")
    found = [text for text in found if text.strip()]
    if not found:
        raise DataError(
            f"masked_language_model.texts: {source} contains no texts; accepted: a folder of .txt files, a .txt file with one text "
            "per line, or a table (CSV, TSV, JSONL, Parquet) with a text column"
        )
    return found
