from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from whet.core.batch import Context, Loss, Outcome
from whet.core.method import Method
from whet.core.runtime import Runtime
from whet.core.search import Search
from whet.core.stages import Watches, WrapsLoss
from whet.models.net import Net


class L2SP(
    Method,
    Watches,
    family="transfer",
    name="l2_sp",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Penalize the distance of the weights from their initial values instead of from zero.

    Use when: fine-tuning pretrained weights on few samples. Remove weight_decay and l2 from the recipe.
    Do not use when: training from scratch, or the new samples have little in common with the pretraining data.
    Source: Li, Grandvalet, Davoine 2018, arXiv:1802.01483.
    Deviates: biases and norms are excluded.
    Shapes: loss (B,) + alpha / 2 * |w - start|^2 over the trained weights of the backbone + beta / 2 * |w|^2 over those of the
    head.
    """

    identity = {"alpha": 0.0, "beta": 0.0}

    alpha: Annotated[
        float,
        Field(ge=0, description="strength of the penalty that pulls the backbone's weights to their initial values"),
        Search(1e-3, 1.0, log=True),
    ] = 0.1
    beta: Annotated[
        float,
        Field(ge=0, description="strength of the penalty that pulls the head's weights to zero"),
        Search(1e-4, 0.1, log=True),
    ] = 0.01

    def start(self, net: Net, context: Context) -> _Start:
        return _Start(net, self.alpha, self.beta)


class _Start(Runtime, WrapsLoss):
    """Stores the initial weights and adds the penalty to the loss."""

    def __init__(self, net: Net, alpha: float, beta: float) -> None:
        self._alpha, self._beta = alpha, beta
        named = [(name, p) for name, p in net.backbone.named_parameters() if p.requires_grad and p.ndim > 1]
        self._start = {name: parameter.detach().clone() for name, parameter in named}
        self._weights = dict(named)
        self._head = [p for p in net.head.parameters() if p.requires_grad and p.ndim > 1]

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        if self._alpha == 0 and self._beta == 0:
            return loss

        def penalized(outcome: Outcome) -> Tensor:
            away = sum(
                ((weight - self._start[name]).square().sum() for name, weight in self._weights.items()), torch.zeros(())
            )
            size = sum((weight.square().sum() for weight in self._head), torch.zeros(()))
            return loss(outcome) + self._alpha / 2 * away + self._beta / 2 * size

        return penalized

    def state_dict(self) -> dict[str, Any]:
        return {"start": self._start}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, tensor in state["start"].items():
            self._start[name].copy_(tensor)
