from __future__ import annotations

import copy
import math
from typing import Annotated, Any, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from whet.core.batch import Context, Loss, Outcome, Progress
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Changes, Initialises, Watches, WrapsLoss
from whet.methods.pretrain.pretext import Pretext
from whet.methods.pretrain.simsiam import negative_cosine
from whet.methods.pretrain.two_views import TASKS, CollapseWatch, TwoViews, mlp, partner
from whet.models.net import Net


class BYOL(TwoViews, Method, WrapsLoss, Changes, Initialises, Watches, family="pretrain", tasks=TASKS, name="byol"):
    """Pre-train by predicting the embedding that a moving average of the network gives to another view of the sample.

    Use when: there is time for two networks, and simsiam has been tried.
    Do not use when: time is short. The moving average is a second network through which every view passes.
    Source: Grill et al. 2020, arXiv:2006.07733.
    Deviates: the mean over rows is half of the sum over both views in the paper. The default widths are a quarter of those of the
    paper (4096, 256) but for the embedding, and the optimizer is that of the recipe, not LARS.
    Shapes: features (2 N, D) -> embeddings (2 N, width) -> predictions q (2 N, width), each two layers with BatchNorm. The loss of
    a row is 2 - 2 cos(q, z'), where z' is the embedding of the other view by the target network, whose weights are the moving
    average of those of the network: the momentum rises from `momentum` to 1 along a half cosine.
    """

    exceptions = {"identity": "without it there is no loss to train on"}
    example = {"width": 16, "hidden": 16}
    conflicts = frozenset({"simclr", "simsiam", "masked_autoencoder", "masked_language_model"})
    order = 90  # runs after everything that sets the initial weights

    momentum: Annotated[
        float, Field(ge=0, lt=1, description="share of the old average that is kept, at the first step"),
        Search(0.9, 0.999),
    ] = 0.99  # fmt: skip
    hidden: Annotated[int, Field(ge=1, description="width of the hidden layers")] = 1024
    width: Annotated[int, Field(ge=2, description="length of an embedding")] = 256

    def change(self, net: Net, context: Context) -> Net:
        projector = mlp([net.width, self.hidden, self.width])
        target = nn.ModuleDict({"backbone": copy.deepcopy(net.backbone), "projector": copy.deepcopy(projector)})
        predictor = mlp([self.width, self.hidden, self.width])
        net.pretext = Pretext(projector=projector, predictor=predictor, target=target).to(net.device)
        net.scale_lr([name for name, _ in net.named_parameters() if name.startswith("pretext.target.")], 0.0)
        return net

    def initialise(self, net: Net, context: Context) -> None:
        for ours, target in _pairs(net):
            target.load_state_dict(ours.state_dict())

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        pretext = net.pretext

        def agreement(outcome: Outcome) -> Tensor:
            with torch.no_grad(), outcome.precision():
                target_BD = pretext.target["projector"](pretext.target["backbone"](outcome.batch.x)).float()
            z_BD = pretext.projector(cast(Tensor, outcome.features_BD))
            pretext.watch(z_BD)
            return loss(outcome) + 2 + 2 * negative_cosine(pretext.predictor(z_BD), partner(target_BD))

        return agreement

    def start(self, net: Any, context: Context) -> _Averaging:
        return _Averaging(self, net)


class _Averaging(CollapseWatch):
    """Moves the target network after every step."""

    def __init__(self, method: BYOL, net: Net) -> None:
        super().__init__(cast(Pretext, net.pretext))
        self._method, self._net = method, net

    @torch.no_grad()
    def after_step(self, progress: Progress) -> None:
        share = 1 - momentum_at(self._method.momentum, progress)
        for ours, target in _pairs(self._net):
            for own, average in zip(ours.parameters(), target.parameters(), strict=True):
                average.lerp_(own.to(average), share)


def momentum_at(base: float, progress: Progress) -> float:
    """1 - (1 - base) (cos(pi k / K) + 1) / 2 after k of K steps."""
    return 1 - (1 - base) * (math.cos(math.pi * progress.fraction) + 1) / 2


def _pairs(net: Net) -> list[tuple[nn.Module, nn.Module]]:
    """(the network's part, the same part of the target network)."""
    pretext: Any = net.pretext
    return [(net.backbone, pretext.target["backbone"]), (pretext.projector, pretext.target["projector"])]
