from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field

from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Optimizes
from whet.methods.optimize.groups import with_rates


class Adam(
    Method,
    Optimizes,
    family="optimize",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Momentum in which each step is divided by the recent gradient magnitude of the weight.

    Use when: no weight decay is desired, or you want to reproduce an older result.
    Do not use when: weights should decay. adamw decays them independently of the gradient.
    Source: Kingma & Ba 2015, arXiv:1412.6980. Uses torch.optim.Adam.
    """

    identity = None
    exceptions = {"identity": "training requires an optimizer", "commutes": "a recipe has exactly one optimizer"}

    lr: Annotated[float, Field(gt=0, description="learning rate"), Search(1e-05, 0.01, log=True)] = 0.001
    beta1: Annotated[float, Field(ge=0, lt=1, description="decay of the average gradient"), Search(0.8, 0.95)] = 0.9
    beta2: Annotated[
        float, Field(ge=0, lt=1, description="decay of the average squared gradient"), Search(0.95, 0.9999)
    ] = 0.999

    def optimizer(self, groups: list[dict[str, Any]], net: Any) -> torch.optim.Optimizer:
        return torch.optim.Adam(with_rates(groups, self.lr), lr=self.lr, fused=True, betas=(self.beta1, self.beta2))
