from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field

from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Optimizes
from whet.methods.optimize.groups import with_rates


class Adagrad(
    Method,
    Optimizes,
    family="optimize",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Gradient descent in which the learning rate of each weight decreases with the sum of its squared gradients.

    Use when: some features are rare and their weights should still change much; convex problems.
    Do not use when: networks are deep or training is long, because the learning rates never increase again.
    Source: Duchi, Hazan, Singer 2011, "Adaptive subgradient methods for online learning and stochastic optimization". Uses
    torch.optim.Adagrad.
    """

    identity = None
    exceptions = {"identity": "training requires an optimizer", "commutes": "a recipe has exactly one optimizer"}

    lr: Annotated[float, Field(gt=0, description="learning rate"), Search(0.001, 0.5, log=True)] = 0.01

    def optimizer(self, groups: list[dict[str, Any]], net: Any) -> torch.optim.Optimizer:
        return torch.optim.Adagrad(with_rates(groups, self.lr), lr=self.lr)
