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

_HIDDEN, _REPLACED = 0.8, 0.1  # of the chosen tokens; what is left stays as it is
_SEEDED = torch.default_generator  # the caller opens a `torch_scope` of whet.core.rng around it
_WARM = 0.1  # share of the steps in which the learning rate rises; it then falls to zero


class MaskedLanguageModel(Method, Initialises, family="semi", tasks={"text-classification"}):
    """Before the training proper, let the encoder guess hidden tokens of your texts, labelled or not.

    Use when: you have many more texts than labels, or they read unlike what the encoder was pretrained on (a trade's own words).
    Do not use when: texts are few and short, or time is: a pass over the texts costs as much as an epoch of training.
    Source: Gururangan et al. 2020, arXiv:2004.10964 (domain- and task-adaptive pre-training); masking: Devlin et al. 2019,
    arXiv:1810.04805.
    Deviates: the layer that guesses is new, a linear layer with GELU and LayerNorm in front of the token vectors themselves, also
    where a published encoder has one of its own; it is thrown away afterwards.
    Shapes: ids int64 (B, L), of which `fraction` are chosen: 80 % hidden, 10 % another token, 10 % as they are -> the mean
    cross-entropy of the chosen ones; every weight of the backbone that training may change moves.
    """

    identity = {"epochs": 0}
    order = 10  # after from_run, before a head is fitted to the features

    texts: Annotated[
        str | None,
        Field(
            description="your texts: a folder of .txt files, a .txt file with a text a line, or a table with a text column; none: "
            "those of the training, without their labels"
        ),
    ] = None
    epochs: Annotated[int, Field(ge=0, description="passes over the texts"), Search(1, 30, log=True)] = 5
    lr: Annotated[
        float,
        Field(gt=0, description="highest learning rate of AdamW; about 5e-5 for a pretrained encoder"),
        Search(1e-5, 3e-3, log=True),
    ] = 5e-4
    batch_size: Annotated[int, Field(ge=1, description="texts a step")] = 32
    fraction: Annotated[float, Field(gt=0, lt=1, description="share of the tokens chosen"), Search(0.1, 0.4)] = 0.15
    max_tokens: Annotated[int, Field(ge=8, description="tokens of a text that are read")] = 128

    def initialise(self, net: Net, context: Context) -> None:
        if self.epochs == 0:
            return
        backbone, _ = _parts(net)
        if not any(parameter.requires_grad for parameter in backbone.parameters()):
            raise NoEffectError("every weight of the encoder is frozen")
        self.adapt(net, _read(self.texts) if self.texts else context.texts())

    def adapt(self, net: Net, texts: Sequence[str]) -> list[float]:
        """Train the encoder on these texts; the mean loss of each pass, in nats a chosen token. Draws from torch's generator."""
        backbone, front = _parts(net)
        tokens, guesser = front.tokens, Guesser(backbone).to(net.device)
        parameters = [p for p in (*backbone.parameters(), *guesser.parameters()) if p.requires_grad]
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
            order = order[lengths[order].argsort(stable=True)]  # one length side by side, so that little is padded
            said, count = 0.0, 0
            for batch in torch.randperm(batches, generator=_SEEDED).tolist():
                chosen_B = order[batch * self.batch_size : (batch + 1) * self.batch_size].tolist()
                ids_BL = front.receive([texts[i] for i in chosen_B], limit)
                asked_BL, chosen_BL = hidden(ids_BL, tokens.special, len(tokens), self.fraction)
                if not chosen_BL.any():
                    continue
                states_BLD, _ = backbone.states(asked_BL)
                loss = F.cross_entropy(guesser(states_BLD[chosen_BL]), ids_BL[chosen_BL])
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(parameters, 1.0)
                optimizer.step()
                schedule.step()
                said, count = said + loss.item() * int(chosen_BL.sum()), count + int(chosen_BL.sum())
            losses.append(said / max(count, 1))
        net.train(training)
        net.zero_grad()
        return losses


class Guesser(nn.Module):
    """States of tokens (N, D) -> logits of all tokens (N, V), by the likeness to the tokens' own vectors."""

    def __init__(self, backbone: ReadsInContext) -> None:
        super().__init__()
        self._table = [backbone.table]  # in a list, so that it is no part of this
        width = self._table[0].embedding_dim
        self.transform = nn.Sequential(nn.Linear(backbone.states_width, width), nn.GELU(), nn.LayerNorm(width))
        self.bias = nn.Parameter(torch.zeros(self._table[0].num_embeddings))

    def forward(self, states_ND: Tensor) -> Tensor:
        return F.linear(self.transform(states_ND), self._table[0].weight, self.bias)


def hidden(ids_BL: Tensor, special: SpecialIds, vocabulary: int, fraction: float) -> tuple[Tensor, Tensor]:
    """(the ids with chosen ones hidden, replaced or left, which were chosen, bool (B, L)). Padding and frame are never chosen."""
    unit_2BL = torch.rand((2, *ids_BL.shape), generator=_SEEDED).to(ids_BL.device)
    others_BL = torch.randint(vocabulary, ids_BL.shape, generator=_SEEDED).to(ids_BL.device)
    chosen_BL = (unit_2BL[0] < fraction) & special.in_text(ids_BL)
    others_BL = torch.where(special.in_text(others_BL), others_BL, ids_BL)
    mask = special.unknown if special.mask is None else special.mask
    asked_BL = ids_BL.masked_fill(chosen_BL & (unit_2BL[1] < _HIDDEN), mask)
    replaced_BL = chosen_BL & (unit_2BL[1] >= 1 - _REPLACED)
    return torch.where(replaced_BL, others_BL, asked_BL), chosen_BL


def _parts(net: Net) -> tuple[ReadsInContext, TextFront]:
    """The encoder and what turns texts into tokens for it."""
    if not isinstance(net.backbone, ReadsInContext) or not isinstance(net.front, TextFront):
        raise NoEffectError(
            f"{net.spec.architecture} has no vector of a token that knows the others; "
            "accepted: text_transformer, or an encoder of transformers"
        )
    return net.backbone, net.front


def _factor(progress: float) -> float:
    return min(progress / _WARM, (1 - progress) / (1 - _WARM))


def _read(place: str) -> list[str]:
    """The texts of a folder, a .txt file or a table. Raises DataError where there are none."""
    path = Path(place).expanduser()
    if path.is_dir():
        found = [text for file in files_below(path, TEXTS) for text in read_unlabelled_texts(file)]
    elif path.is_file():
        read = read_unlabelled_texts(path)
        found = read[0].split("\n") if path.suffix.lower() in TEXTS.suffixes else read
    else:
        raise DataError(f"masked_language_model.texts: {place} does not exist")
    found = [text for text in found if text.strip()]
    if not found:
        raise DataError(
            f"masked_language_model.texts: {place} holds no texts; accepted: a folder of .txt files, a .txt file with a text a "
            "line, or a table (CSV, TSV, JSONL, Parquet) with a text column"
        )
    return found
