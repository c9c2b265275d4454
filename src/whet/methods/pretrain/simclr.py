from __future__ import annotations

from typing import Annotated, Any, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from whet.core.batch import Context, Loss, Outcome
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Changes, Watches, WrapsLoss
from whet.methods.pretrain.pretext import Pretext
from whet.methods.pretrain.two_views import TASKS, TwoViews, mlp, partner
from whet.models.net import Net


class SimCLR(TwoViews, Method, WrapsLoss, Changes, Watches, family="pretrain", tasks=TASKS, name="simclr"):
    """Pre-train by recognising the other view of each sample among all views of the batch.

    Use when: there are many samples without labels, and batches of 64 or more fit into memory.
    Do not use when: batches are small, because the other samples of the batch are the negatives, or many samples are nearly equal.
    Source: Chen et al. 2020, arXiv:2002.05709.
    Deviates: with `accumulate` or another method that splits the batch, the negatives come from the same part. The optimizer is
    that of the recipe, not LARS.
    Shapes: features (2 N, D) -> embeddings z (2 N, width), a projection of two layers. The loss of a row is NT-Xent: the
    cross-entropy of its other view under softmax(cos(z, z') / temperature) over the 2 N - 1 other rows.
    """

    exceptions = {"identity": "without it there is no loss to train on"}
    conflicts = frozenset({"byol", "simsiam", "masked_autoencoder", "masked_language_model"})

    temperature: Annotated[
        float, Field(gt=0, description="divisor of the cosine similarities"), Search(0.05, 1.0, log=True)
    ] = 0.5
    width: Annotated[int, Field(ge=2, description="length of an embedding")] = 128

    def change(self, net: Net, context: Context) -> Net:
        net.pretext = Pretext(projector=mlp([net.width, net.width, self.width], norm=False)).to(net.device)
        return net

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        pretext = net.pretext

        def contrast(outcome: Outcome) -> Tensor:
            z_BD = pretext.projector(cast(Tensor, outcome.features_BD))
            pretext.watch(z_BD)
            return loss(outcome) + nt_xent(z_BD, self.temperature)

        return contrast


def nt_xent(z_BD: Tensor, temperature: float) -> Tensor:
    """The normalised temperature-scaled cross-entropy of each row, (2 N,); row i and row i + N are views of one sample."""
    unit_BD = F.normalize(z_BD, dim=1)
    alike_BB = unit_BD @ unit_BD.T / temperature
    others_BB = alike_BB.masked_fill(torch.eye(len(z_BD), dtype=torch.bool, device=z_BD.device), -torch.inf)
    return others_BB.logsumexp(dim=1) - (unit_BD * partner(unit_BD)).sum(dim=1) / temperature
