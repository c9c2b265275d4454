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
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Adam with Nesterov momentum.

    Use when: Adam works and you want slightly faster progress at the start.
    Do not use when: weights should decay. adamw decays them independently of the gradient.
    Source: Dozat 2016, "Incorporating Nesterov momentum into Adam", ICLR workshop. Uses torch.optim.NAdam.
    """

    identity = None
    exceptions = {"identity": "training requires an optimizer", "commutes": "a recipe has exactly one optimizer"}

    lr: Annotated[float, Field(gt=0, description="learning rate"), Search(1e-05, 0.01, log=True)] = 0.002
    beta1: Annotated[float, Field(ge=0, lt=1, description="decay of the average gradient"), Search(0.8, 0.95)] = 0.9
    beta2: Annotated[
        float, Field(ge=0, lt=1, description="decay of the average squared gradient"), Search(0.95, 0.9999)
    ] = 0.999
    momentum_decay: Annotated[float, Field(ge=0, description="speed at which the momentum increases to beta1")] = 4e-3

    def optimizer(self, groups: list[dict[str, Any]], net: Any) -> torch.optim.Optimizer:
        return torch.optim.NAdam(
            with_rates(groups, self.lr), lr=self.lr, betas=(self.beta1, self.beta2), momentum_decay=self.momentum_decay
        )
