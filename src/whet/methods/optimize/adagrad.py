from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field

from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Optimizes
from whet.methods.optimize.groups import with_rates


class Adagrad(
    Method, Optimizes, family="optimize", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Gradient descent in which each weight's rate falls with all the squared gradients it has seen.

    Use when: some features are rare and their weights should still move far; convex problems.
    Do not use when: networks are deep or training is long: the rates only ever fall.
    Source: Duchi, Hazan, Singer 2011, "Adaptive subgradient methods for online learning and stochastic optimization". The update is
    torch.optim.Adagrad's.
    """

    identity = None
    exceptions = {"identity": "a training needs an optimizer", "commutes": "only one optimizer can stand in a recipe"}

    lr: Annotated[float, Field(gt=0, description="learning rate"), Search(0.001, 0.5, log=True)] = 0.01

    def optimizer(self, groups: list[dict[str, Any]], net: Any) -> torch.optim.Optimizer:
        return torch.optim.Adagrad(with_rates(groups, self.lr), lr=self.lr)
