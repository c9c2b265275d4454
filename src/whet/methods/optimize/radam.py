from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field

from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Optimizes
from whet.methods.optimize.groups import with_rates


class RAdam(
    Method,
    Optimizes,
    family="optimize",
    name="radam",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Adam that takes plain momentum steps until its estimate of the gradient magnitude is reliable.

    Use when: Adam needs a warm-up and the recipe has none.
    Do not use when: the recipe already has a warm-up. Both have the same effect.
    Source: Liu et al. 2020, arXiv:1908.03265. Uses torch.optim.RAdam.
    """

    identity = None
    exceptions = {"identity": "training requires an optimizer", "commutes": "a recipe has exactly one optimizer"}

    lr: Annotated[float, Field(gt=0, description="learning rate"), Search(1e-05, 0.01, log=True)] = 0.001
    beta1: Annotated[float, Field(ge=0, lt=1, description="decay of the average gradient"), Search(0.8, 0.95)] = 0.9
    beta2: Annotated[
        float, Field(ge=0, lt=1, description="decay of the average squared gradient"), Search(0.95, 0.9999)
    ] = 0.999

    def optimizer(self, groups: list[dict[str, Any]], net: Any) -> torch.optim.Optimizer:
        return torch.optim.RAdam(with_rates(groups, self.lr), lr=self.lr, betas=(self.beta1, self.beta2))
