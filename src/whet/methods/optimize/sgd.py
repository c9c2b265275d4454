from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field

from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Optimizes
from whet.methods.optimize.groups import with_rates


class SGD(
    Method,
    Optimizes,
    family="optimize",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Stochastic gradient descent with momentum.

    Use when: convolutional networks are trained from scratch with a schedule; as the reference for comparisons.
    Do not use when: training transformers, or there is no time to find a learning rate.
    Source: Robbins & Monro 1951; momentum: Polyak 1964; Nesterov 1983. Uses torch.optim.SGD.
    """

    identity = None
    exceptions = {"identity": "training requires an optimizer", "commutes": "a recipe has exactly one optimizer"}

    lr: Annotated[float, Field(gt=0, description="learning rate"), Search(1e-3, 1.0, log=True)] = 0.05
    momentum: Annotated[float, Field(ge=0, lt=1, description="0 is plain gradient descent"), Search(0.0, 0.99)] = 0.9
    nesterov: Annotated[bool, Field(description="use Nesterov momentum")] = True

    def optimizer(self, groups: list[dict[str, Any]], net: Any) -> torch.optim.Optimizer:
        groups = with_rates(groups, self.lr)
        return torch.optim.SGD(groups, lr=self.lr, momentum=self.momentum, nesterov=self.nesterov and self.momentum > 0)
