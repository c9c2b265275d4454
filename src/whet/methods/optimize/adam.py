from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field

from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Optimizes
from whet.methods.optimize.groups import with_rates


class Adam(
    Method, Optimizes, family="optimize", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Momentum, with each step divided by the recent size of that weight's own gradient.

    Use when: no weight decay is wanted, or an older result is to be matched.
    Do not use when: weights should decay: adamw does that apart from the gradient.
    Source: Kingma & Ba 2015, arXiv:1412.6980. The update is torch.optim.Adam's.
    """

    identity = None
    exceptions = {"identity": "a training needs an optimizer", "commutes": "only one optimizer can stand in a recipe"}

    lr: Annotated[float, Field(gt=0, description="learning rate"), Search(1e-05, 0.01, log=True)] = 0.001
    beta1: Annotated[float, Field(ge=0, lt=1, description="memory of the gradient"), Search(0.8, 0.95)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1, description="memory of its square"), Search(0.95, 0.9999)] = 0.999

    def optimizer(self, groups: list[dict[str, Any]], net: Any) -> torch.optim.Optimizer:
        return torch.optim.Adam(with_rates(groups, self.lr), lr=self.lr, fused=True, betas=(self.beta1, self.beta2))
