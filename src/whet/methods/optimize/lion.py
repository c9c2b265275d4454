from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Optimizes
from whet.methods.optimize.descent import Descent
from whet.methods.optimize.groups import with_rates


class Lion(
    Method,
    Optimizes,
    family="optimize",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Move every weight by the same amount, in the direction of the sign of the momentum.

    Use when: batches are large (64 and more), transformers. It stores one number per weight, Adam stores two.
    Do not use when: batches are small. The sign of a noisy gradient is mostly noise.
    Source: Chen et al. 2023, arXiv:2302.06675.
    Deviates: norms and biases are not decayed.
    """

    identity = None
    exceptions = {"identity": "training requires an optimizer", "commutes": "a recipe has exactly one optimizer"}

    lr: Annotated[
        float, Field(gt=0, description="learning rate; a third to a tenth of Adam's"), Search(1e-6, 1e-3, log=True)
    ] = 1e-4
    beta1: Annotated[
        float, Field(ge=0, lt=1, description="weight of the momentum in the direction of the step"), Search(0.8, 0.95)
    ] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1, description="decay of the momentum"), Search(0.95, 0.999)] = 0.99
    weight_decay: Annotated[
        float,
        Field(ge=0, description="decoupled: weights shrink by lr * this per step; three to ten times Adam's"),
        Search(1e-3, 3.0, log=True),
    ] = 0.5

    def optimizer(self, groups: list[dict[str, Any]], net: Any) -> torch.optim.Optimizer:
        rated = with_rates(groups, self.lr, self.weight_decay)
        return _Lion([{**group, "beta1": self.beta1, "beta2": self.beta2} for group in rated])


class _Lion(Descent):
    def change(self, weight: Tensor, gradient: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        if not state:
            state["momentum"] = torch.zeros_like(gradient)
        direction = state["momentum"].lerp(gradient, 1 - group["beta1"]).sign_()
        weight.mul_(1 - group["lr"] * group["weight_decay"]).add_(direction, alpha=-group["lr"])
        state["momentum"].lerp_(gradient, 1 - group["beta2"])
