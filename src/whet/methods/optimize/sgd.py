from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field

from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Optimizes
from whet.methods.optimize.groups import with_rates


class SGD(
    Method, Optimizes, family="optimize", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Gradient descent on batches, with momentum.

    Use when: convolutional networks from scratch, with a schedule; the reference to compare with.
    Do not use when: transformers, or no time to find a learning rate.
    Source: Robbins & Monro 1951; momentum: Polyak 1964; Nesterov 1983. The update is torch.optim.SGD's.
    """

    identity = None
    exceptions = {"identity": "a training needs an optimizer", "commutes": "only one optimizer can stand in a recipe"}

    lr: Annotated[float, Field(gt=0, description="learning rate"), Search(1e-3, 1.0, log=True)] = 0.05
    momentum: Annotated[float, Field(ge=0, lt=1, description="0 is plain gradient descent"), Search(0.0, 0.99)] = 0.9
    nesterov: Annotated[bool, Field(description="look ahead along the momentum")] = True

    def optimizer(self, groups: list[dict[str, Any]], net: Any) -> torch.optim.Optimizer:
        groups = with_rates(groups, self.lr)
        return torch.optim.SGD(groups, lr=self.lr, momentum=self.momentum, nesterov=self.nesterov and self.momentum > 0)
