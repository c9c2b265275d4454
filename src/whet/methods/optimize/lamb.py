from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Optimizes
from whet.methods.optimize.descent import Descent, adam_direction
from whet.methods.optimize.groups import with_rates


class LAMB(
    Method,
    Optimizes,
    family="optimize",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Adam in which the step of each layer has a fixed length relative to the norm of its weights.

    Use when: batches are very large (thousands) and the learning rate is correspondingly large.
    Do not use when: batches are small. adamw performs as well and needs no weight norms.
    Source: You et al. 2020, arXiv:1904.00962.
    Deviates: norms and biases are neither decayed nor scaled to their norm, as in the authors' code.
    """

    identity = None
    exceptions = {"identity": "training requires an optimizer", "commutes": "a recipe has exactly one optimizer"}

    lr: Annotated[
        float,
        Field(gt=0, description="length of a step as a fraction of the norm of the layer's weights"),
        Search(1e-4, 3e-2, log=True),
    ] = 2e-3
    beta1: Annotated[float, Field(ge=0, lt=1, description="decay of the average gradient"), Search(0.8, 0.95)] = 0.9
    beta2: Annotated[
        float, Field(ge=0, lt=1, description="decay of the average squared gradient"), Search(0.95, 0.9999)
    ] = 0.999
    weight_decay: Annotated[
        float, Field(ge=0, description="added to the direction as weight * this"), Search(1e-4, 0.3, log=True)
    ] = 0.01

    def optimizer(self, groups: list[dict[str, Any]], net: Any) -> torch.optim.Optimizer:
        rated = with_rates(groups, self.lr, self.weight_decay)
        shared = {"beta1": self.beta1, "beta2": self.beta2}
        return _LAMB([{**rated_g, **shared, "scaled": g["decay"]} for rated_g, g in zip(rated, groups)])


class _LAMB(Descent):
    def change(self, weight: Tensor, gradient: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        direction = adam_direction(gradient, state, group["beta1"], group["beta2"], epsilon=1e-6)
        direction.add_(weight, alpha=group["weight_decay"])
        sizes = weight.norm(), direction.norm()
        if group["scaled"]:
            ratio = torch.where((sizes[0] > 0) & (sizes[1] > 0), sizes[0] / sizes[1], 1.0)  # stays on the device
            direction.mul_(ratio)
        weight.add_(direction, alpha=-group["lr"])
