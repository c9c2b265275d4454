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
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Adam with decoupled weight decay.

    Use when: fine-tuning, transformers, or when there is no time to find a learning rate.
    Do not use when: convolutional networks are trained from scratch with a tuned schedule. SGD often gives better results there.
    Source: Loshchilov & Hutter 2019, arXiv:1711.05101. Uses torch.optim.AdamW.
    Deviates: norms and biases are not decayed.
    """

    identity = None
    exceptions = {"identity": "training requires an optimizer", "commutes": "a recipe has exactly one optimizer"}

    lr: Annotated[float, Field(gt=0, description="learning rate"), Search(1e-5, 1e-2, log=True)] = 1e-3
    beta1: Annotated[float, Field(ge=0, lt=1, description="decay of the average gradient"), Search(0.8, 0.95)] = 0.9
    beta2: Annotated[
        float, Field(ge=0, lt=1, description="decay of the average squared gradient"), Search(0.95, 0.9999)
    ] = 0.999
    weight_decay: Annotated[
        float, Field(ge=0, description="decoupled: weights shrink by lr * this per step"), Search(1e-4, 0.3, log=True)
    ] = 0.05

    def optimizer(self, groups: list[dict[str, Any]], net: Any) -> torch.optim.Optimizer:
        groups = with_rates(groups, self.lr, self.weight_decay)
        return torch.optim.AdamW(groups, lr=self.lr, fused=True, betas=(self.beta1, self.beta2))
