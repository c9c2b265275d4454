from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field

from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Optimizes
from whet.methods.optimize.groups import with_rates


class Adafactor(
    Method, Optimizes, family="optimize", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Adam's scaling from the sums of rows and columns alone, with steps relative to each weight's size and no momentum.

    Use when: memory is short: the squared gradients of a matrix take the room of one row and one column.
    Do not use when: memory suffices; adamw ends a little better.
    Source: Shazeer & Stern 2018, arXiv:1804.04235. The update is torch.optim.Adafactor's.
    Deviates: the smallest number is kept from the divisor instead of added to the squared gradients, as in torch.
    """

    identity = None
    exceptions = {"identity": "a training needs an optimizer", "commutes": "only one optimizer can stand in a recipe"}

    lr: Annotated[
        float,
        Field(
            gt=0,
            description="largest step relative to the size of a weight tensor; falls as 1 / sqrt(step) in any case",
        ),
        Search(0.0001, 0.1, log=True),
    ] = 0.01
    decay_power: Annotated[
        float, Field(gt=0, le=1, description="memory of the squares: 1 - step^-power"), Search(0.5, 1.0)
    ] = 0.8
    clip: Annotated[float, Field(ge=1, description="largest root mean square of the scaled gradient")] = 1.0

    def optimizer(self, groups: list[dict[str, Any]], net: Any) -> torch.optim.Optimizer:
        return torch.optim.Adafactor(
            with_rates(groups, self.lr), lr=self.lr, beta2_decay=-self.decay_power, d=self.clip
        )
