from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field

from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Optimizes
from whet.methods.optimize.groups import with_rates


class NAdam(
    Method,
    Optimizes,
    family="optimize",
    name="nadam",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Adam with Nesterov's momentum: the step already uses the gradient that the momentum will next meet.

    Use when: Adam works and a little faster start is wanted.
    Do not use when: weights should decay: adamw does that apart from the gradient.
    Source: Dozat 2016, "Incorporating Nesterov momentum into Adam", ICLR workshop. The update is torch.optim.NAdam's.
    """

    identity = None
    exceptions = {"identity": "a training needs an optimizer", "commutes": "only one optimizer can stand in a recipe"}

    lr: Annotated[float, Field(gt=0, description="learning rate"), Search(1e-05, 0.01, log=True)] = 0.002
    beta1: Annotated[float, Field(ge=0, lt=1, description="memory of the gradient"), Search(0.8, 0.95)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1, description="memory of its square"), Search(0.95, 0.9999)] = 0.999
    momentum_decay: Annotated[float, Field(ge=0, description="how fast the momentum warms up to beta1")] = 4e-3

    def optimizer(self, groups: list[dict[str, Any]], net: Any) -> torch.optim.Optimizer:
        return torch.optim.NAdam(
            with_rates(groups, self.lr), lr=self.lr, betas=(self.beta1, self.beta2), momentum_decay=self.momentum_decay
        )
