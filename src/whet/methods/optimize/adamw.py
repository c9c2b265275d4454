from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field

from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Optimizes
from whet.methods.optimize.groups import with_rates


class AdamW(
    Method,
    Optimizes,
    family="optimize",
    name="adamw",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Adam with weight decay apart from the gradient: steps scaled by each weight's own recent gradients.

    Use when: fine-tuning, transformers, or no time to find a learning rate.
    Do not use when: convolutional networks from scratch with a tuned schedule, where SGD often ends higher.
    Source: Loshchilov & Hutter 2019, arXiv:1711.05101. The update is torch.optim.AdamW's.
    Deviates: norms and biases are not decayed.
    """

    identity = None
    exceptions = {"identity": "a training needs an optimizer", "commutes": "only one optimizer can stand in a recipe"}

    lr: Annotated[float, Field(gt=0, description="learning rate"), Search(1e-5, 1e-2, log=True)] = 1e-3
    beta1: Annotated[float, Field(ge=0, lt=1, description="memory of the gradient"), Search(0.8, 0.95)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1, description="memory of its square"), Search(0.95, 0.9999)] = 0.999
    weight_decay: Annotated[
        float, Field(ge=0, description="decoupled: weights shrink by lr * this a step"), Search(1e-4, 0.3, log=True)
    ] = 0.05

    def optimizer(self, groups: list[dict[str, Any]], net: Any) -> torch.optim.Optimizer:
        groups = with_rates(groups, self.lr, self.weight_decay)
        return torch.optim.AdamW(groups, lr=self.lr, fused=True, betas=(self.beta1, self.beta2))
