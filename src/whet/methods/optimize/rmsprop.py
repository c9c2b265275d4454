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
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Gradient descent in which each step is divided by the recent gradient magnitude of the weight.

    Use when: recurrent networks, or you want an adaptive optimizer that stores only one number per weight.
    Do not use when: you can use Adam, which adds momentum and corrects the first steps.
    Source: Tieleman & Hinton 2012, "Lecture 6.5: rmsprop", Coursera. Uses torch.optim.RMSprop.
    """

    identity = None
    exceptions = {"identity": "training requires an optimizer", "commutes": "a recipe has exactly one optimizer"}

    lr: Annotated[float, Field(gt=0, description="learning rate"), Search(1e-05, 0.01, log=True)] = 0.001
    memory: Annotated[
        float, Field(ge=0, lt=1, description="decay of the average of the squared gradient"), Search(0.9, 0.999)
    ] = 0.99
    momentum: Annotated[float, Field(ge=0, lt=1, description="momentum; 0 is none"), Search(0.0, 0.95)] = 0.0

    def optimizer(self, groups: list[dict[str, Any]], net: Any) -> torch.optim.Optimizer:
        return torch.optim.RMSprop(with_rates(groups, self.lr), lr=self.lr, alpha=self.memory, momentum=self.momentum)
