from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from whet.core.batch import Closure
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Optimizes
from whet.methods.optimize.descent import Descent
from whet.methods.optimize.groups import with_rates
from whet.methods.optimize.logits import sampled_label_gradient, steered
from whet.methods.optimize.true_gradient import BENDS_GRADIENTS
from whet.models.net import Net


class Sophia(
    Method,
    Optimizes,
    family="optimize",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Divide the momentum by the curvature of each weight, which is estimated at intervals, and clip the step.

    Use when: transformers are trained from scratch, or the curvature differs much between weights.
    Do not use when: batches have only a few samples, or you want clip_norm (Sophia clips its own steps).
    Source: Liu et al. 2024, arXiv:2305.14342 (Sophia-G, the Gauss-Newton-Bartlett estimator).
    Deviates: norms and biases are not decayed.
    Shapes: every few steps one more gradient, of the cross-entropy with labels sampled from the predictions (B, K).
    """

    identity = None
    exceptions = {"identity": "training requires an optimizer", "commutes": "a recipe has exactly one optimizer"}
    conflicts = BENDS_GRADIENTS

    lr: Annotated[
        float, Field(gt=0, description="learning rate; the maximum step of a weight"), Search(1e-5, 1e-2, log=True)
    ] = 6e-4
    beta1: Annotated[float, Field(ge=0, lt=1, description="decay of the average gradient"), Search(0.9, 0.98)] = 0.96
    beta2: Annotated[float, Field(ge=0, lt=1, description="decay of the average curvature"), Search(0.9, 0.999)] = 0.99
    rho: Annotated[
        float,
        Field(gt=0, description="factor on the curvature: a smaller value clips more steps"),
        Search(0.005, 0.5, log=True),
    ] = 0.05
    every: Annotated[int, Field(ge=1, description="steps between estimates of the curvature"), Search(1, 20)] = 10
    weight_decay: Annotated[
        float, Field(ge=0, description="decoupled: weights shrink by lr * this per step"), Search(1e-3, 1.0, log=True)
    ] = 0.2

    def optimizer(self, groups: list[dict[str, Any]], net: Net) -> torch.optim.Optimizer:
        return _Sophia(with_rates(groups, self.lr, self.weight_decay), self, net)


class _Sophia(Descent):
    def __init__(self, groups: list[dict[str, Any]], method: Sophia, net: Net) -> None:
        super().__init__([{**group, "taken": 0} for group in groups])
        self._method, self._net = method, net

    @torch.no_grad()
    def step(self, closure: Closure) -> Tensor | None:  # type: ignore[override]
        if self.param_groups[0]["taken"] % self._method.every == 0:
            self._update_curvature(closure)
        for group in self.param_groups:
            group["taken"] += 1
        return super().step(closure)

    def _update_curvature(self, closure: Closure) -> None:
        """Update the curvature with the number of samples times the squared mean gradient for labels sampled from the outputs.
        This equals the squared sum divided by the number, also if the batch is processed in several parts."""
        sizes: list[int] = []

        def steer(logits_BK: Tensor, gradient_BK: Tensor) -> Tensor:
            sizes.append(len(logits_BK))
            return len(logits_BK) * sampled_label_gradient(logits_BK, gradient_BK, self._net.task)

        with torch.enable_grad():
            steered(closure, self._net.head, steer)
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    curvature = self._state_of(weight)["curvature"].mul_(self._method.beta2)
                    curvature.addcmul_(weight.grad, weight.grad, value=(1 - self._method.beta2) / sum(sizes))

    def _state_of(self, weight: Tensor) -> dict[str, Any]:
        state = self.state[weight]
        if not state:
            state.update(momentum=torch.zeros_like(weight), curvature=torch.zeros_like(weight))
        return state

    def change(self, weight: Tensor, gradient: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        state = self._state_of(weight)
        state["momentum"].lerp_(gradient, 1 - self._method.beta1)
        ratio = state["momentum"] / (self._method.rho * state["curvature"]).clamp(min=1e-12)
        weight.mul_(1 - group["lr"] * group["weight_decay"]).add_(ratio.clamp_(-1, 1), alpha=-group["lr"])
