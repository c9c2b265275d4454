from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from whet.core.batch import Context, Progress
from whet.core.duration import Duration
from whet.core.method import Method
from whet.core.runtime import Runtime
from whet.core.search import Search
from whet.core.stages import ChoosesWeights, Optimizes, Scales, Watches
from whet.methods.optimize.groups import with_rates
from whet.methods.schedule.courses import COURSES
from whet.models.net import Net


class ScheduleFree(
    Method,
    Optimizes,
    Scales,
    Watches,
    ChoosesWeights,
    family="optimize",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """AdamW that averages its weights during training instead of using momentum and a decreasing learning rate.

    Use when: the length of training is not known in advance, or no schedule is desired.
    Do not use when: the network has many BatchNorm layers and training is short. Their statistics are those of the training
    weights, not of the averaged ones.
    Source: Defazio et al. 2024, arXiv:2405.15682 (Schedule-Free AdamW).
    Deviates: BatchNorm statistics are not recomputed for the averaged weights. The averaging weights omit the bias correction of
    the squared gradient, as in the authors' code.
    Shapes: gradients are computed at y = (1 - beta) z + beta x, where z takes the steps and x is the mean of z, weighted by the
    squared learning rate. Training uses y, validation and inference use x.
    """

    identity = None
    exceptions = {"identity": "training requires an optimizer", "commutes": "a recipe has exactly one optimizer"}
    conflicts = COURSES | {"warmup", "plateau", "ema", "swa", "lawa", "soup", "snapshot", "lookahead"}

    lr: Annotated[float, Field(gt=0, description="learning rate"), Search(1e-4, 3e-2, log=True)] = 2.5e-3
    beta: Annotated[
        float,
        Field(ge=0, lt=1, description="weight of the average at the point where gradients are computed"),
        Search(0.8, 0.98),
    ] = 0.9
    beta2: Annotated[
        float, Field(ge=0, lt=1, description="decay of the average of the squared gradient"), Search(0.95, 0.9999)
    ] = 0.999
    weight_decay: Annotated[
        float, Field(ge=0, description="decoupled: weights shrink by lr * this per step"), Search(1e-4, 0.3, log=True)
    ] = 0.05
    warmup: Annotated[Duration, Field(description="length of the warm-up: 2ep, 500st or 0.05dur")] = Duration(
        0.05, "dur"
    )

    def optimizer(self, groups: list[dict[str, Any]], net: Any) -> torch.optim.Optimizer:
        groups = with_rates(groups, self.lr, self.weight_decay)
        return torch.optim.AdamW(groups, lr=self.lr, fused=True, betas=(0.0, self.beta2))

    def factor(self, progress: Progress) -> float:
        steps = progress.steps(self.warmup)
        return min(1.0, (progress.step + 1) / steps) if steps else 1.0

    def start(self, net: Net, context: Context) -> _Averaging:
        return _Averaging(self, net)

    def weights(self, weights: dict[str, Tensor], runtime: _Averaging, final: bool) -> dict[str, Tensor]:
        return weights | runtime.mean


class _Averaging(Runtime):
    """Converts the optimizer's step on y to a step on z, updates the mean x, and recomputes y from both."""

    def __init__(self, method: ScheduleFree, net: Net) -> None:
        self._method = method
        self._trained = {name: p for name, p in net.named_parameters() if p.requires_grad}
        self.fast = {name: p.detach().clone() for name, p in self._trained.items()}  # z
        self.mean = {name: p.detach().clone() for name, p in self._trained.items()}  # x
        self._weight_sum = 0.0

    @torch.no_grad()
    def after_step(self, progress: Progress) -> None:
        taken = Progress(max(progress.step - 1, 0), progress.total_steps, progress.steps_per_epoch)
        weight = self._method.factor(taken) ** 2
        self._weight_sum += weight
        for name, now in self._trained.items():
            fast, mean = self.fast[name], self.mean[name]
            fast += now - fast.lerp(mean, self._method.beta)
            mean.lerp_(fast, weight / self._weight_sum)
            now.copy_(fast.lerp(mean, self._method.beta))

    def state_dict(self) -> dict[str, Any]:
        return {"fast": self.fast, "mean": self.mean, "weight_sum": self._weight_sum}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._weight_sum = state["weight_sum"]
        for kept, given in ((self.fast, state["fast"]), (self.mean, state["mean"])):
            for name, tensor in given.items():
                kept[name].copy_(tensor)
