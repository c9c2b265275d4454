"""Steps that use the gradient at a point a little uphill, shared by the methods that search for flat minima."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from whet.core.batch import Closure, Step

Uphill = Callable[[list[Tensor], list[Tensor]], list[Tensor]]
"""Weights and their gradients -> the move of each weight to the point where the loss is (nearly) largest."""


def step_from_uphill(step: Step, parameters: list[nn.Parameter], uphill: Uphill) -> Step:
    """A step that applies the gradient found uphill to the original weights. Its loss is that of the original weights."""

    def sharp_step(closure: Closure) -> Tensor:
        def from_uphill() -> Tensor:
            loss = closure()
            weights: list[Tensor] = [parameter for parameter in parameters if parameter.grad is not None]
            with torch.no_grad():
                before = [weight.clone() for weight in weights]
                for weight, move in zip(weights, uphill(weights, [w.grad for w in weights if w.grad is not None])):
                    weight += move
            try:
                closure()
            finally:
                with torch.no_grad():
                    for weight, old in zip(weights, before):
                        weight.copy_(old)
            return loss

        return step(from_uphill)

    return sharp_step
