from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field

from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Optimizes
from whet.methods.optimize.groups import with_rates


class RMSprop(
    Method,
    Optimizes,
    family="optimize",
    name="rmsprop",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Gradient descent in which each step is divided by the recent size of that weight's gradient.

    Use when: recurrent networks, or an adaptive optimizer with a single memory is wanted.
    Do not use when: Adam is an option, which adds momentum and corrects the first steps.
    Source: Tieleman & Hinton 2012, "Lecture 6.5: rmsprop", Coursera. The update is torch.optim.RMSprop's.
    """

    identity = None
    exceptions = {"identity": "a training needs an optimizer", "commutes": "only one optimizer can stand in a recipe"}

    lr: Annotated[float, Field(gt=0, description="learning rate"), Search(1e-05, 0.01, log=True)] = 0.001
    memory: Annotated[float, Field(ge=0, lt=1, description="memory of the squared gradient"), Search(0.9, 0.999)] = 0.99
    momentum: Annotated[float, Field(ge=0, lt=1, description="0 is none"), Search(0.0, 0.95)] = 0.0

    def optimizer(self, groups: list[dict[str, Any]], net: Any) -> torch.optim.Optimizer:
        return torch.optim.RMSprop(with_rates(groups, self.lr), lr=self.lr, alpha=self.memory, momentum=self.momentum)
