"""Base of the optimizers in this folder that use one gradient per step and update one weight tensor after the other."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from whet.core.batch import Closure


class Descent(torch.optim.Optimizer):
    """A subclass implements `change`, the update of one weight tensor. All its memory is in `state`: numbers, tensors and lists
    of them."""

    def __init__(self, groups: list[dict[str, Any]]) -> None:
        super().__init__(groups, {})

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Tensor | None:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self.change(weight, weight.grad, group, self.state[weight])
        return loss

    def change(self, weight: Tensor, gradient: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        raise NotImplementedError


def adam_direction(
    gradient: Tensor, state: dict[str, Any], beta1: float, beta2: float, epsilon: float = 1e-8
) -> Tensor:
    """Adam's step before the learning rate: the mean gradient divided by the root of the mean square, both with bias correction."""
    if not state:
        state.update(step=0, mean=torch.zeros_like(gradient), square=torch.zeros_like(gradient))
    state["step"] += 1
    state["mean"].lerp_(gradient, 1 - beta1)
    state["square"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
    mean = state["mean"] / (1 - beta1 ** state["step"])
    square = state["square"] / (1 - beta2 ** state["step"])
    return mean / (square.sqrt() + epsilon)
