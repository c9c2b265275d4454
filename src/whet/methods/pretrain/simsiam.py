from __future__ import annotations

from typing import Annotated, Any, cast

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


class SimSiam(TwoViews, Method, WrapsLoss, Changes, Watches, family="pretrain", tasks=TASKS, name="simsiam"):
    """Pre-train by predicting the embedding of one view of a sample from another view, without negative samples.

    Use when: there are many more samples without labels than with, and batches are small. It is the cheapest of its kind.
    Do not use when: there are only a few hundred samples and good pretrained weights, or nothing in the recipe makes the two views
    of a sample differ.
    Source: Chen & He 2021, arXiv:2011.10566.
    Deviates: both views pass through the network in one batch, so BatchNorm has joint statistics. The default widths are a quarter
    of those of the paper (2048, 512), for smaller data.
    Shapes: features (2 N, D) -> embeddings z (2 N, width), a projection of three layers with BatchNorm -> predictions p (2 N,
    width), two layers. The loss of a row is -cos(p, z of the other view), with no gradient through z; its mean is the loss of the
    paper.
    """

    exceptions = {"identity": "without it there is no loss to train on"}
    example = {"width": 16, "bottleneck": 8}
    conflicts = frozenset({"byol", "simclr", "masked_autoencoder", "masked_language_model"})

    width: Annotated[int, Field(ge=2, description="length of an embedding"), Search(128, 2048, log=True)] = 512
    bottleneck: Annotated[int, Field(ge=1, description="width of the hidden layer of the predictor")] = 128

    def change(self, net: Net, context: Context) -> Net:
        projector = mlp([net.width, self.width, self.width, self.width], norm_last=True)
        predictor = mlp([self.width, self.bottleneck, self.width])
        net.pretext = Pretext(projector=projector, predictor=predictor).to(net.device)
        return net

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        pretext = net.pretext

        def agreement(outcome: Outcome) -> Tensor:
            z_BD = pretext.projector(cast(Tensor, outcome.features_BD))
            pretext.watch(z_BD)
            return loss(outcome) + negative_cosine(pretext.predictor(z_BD), partner(z_BD).detach())

        return agreement


def negative_cosine(p_BD: Tensor, z_BD: Tensor) -> Tensor:
    """-cos(p, z) of each row, (B,)."""
    return -F.cosine_similarity(p_BD, z_BD, dim=1)
