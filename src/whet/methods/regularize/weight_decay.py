from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from whet.core.batch import Closure, Step
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Stage, WrapsUpdate


class WeightDecay(
    Method,
    WrapsUpdate,
    family="regularize",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Shrink the weights a little at every step, apart from the gradient, whatever the optimizer.

    Use when: nearly always; with adaptive optimizers in the place of l2.
    Do not use when: training is so short that the weights hardly grow, or few weights are trained (a linear probe: l2 there).
    Source: Loshchilov & Hutter 2019, arXiv:1711.05101.
    Shapes: w <- (the optimizer's w) - lr * strength * (w before the step); norms and biases are left out. An optimizer's own
    weight_decay is set to 0, and the run notes it: weights decay once.
    """

    identity = {"strength": 0.0}
    order = 95  # next to the optimizer, inside whatever takes or leaves whole steps

    strength: Annotated[
        float, Field(ge=0, description="weights shrink by lr * this a step"), Search(1e-4, 0.3, log=True)
    ] = 0.01

    def take_over(self, other: Method) -> Method | None:
        own = other.stage is Stage.OPTIMIZER and other.settings_dict().get("weight_decay")
        return other.replace(weight_decay=0.0) if own and self.strength > 0 else None

    def wrap_update(self, step: Step, optimizer: torch.optim.Optimizer) -> Step:
        if self.strength == 0:
            return step

        def decayed_step(closure: Closure) -> Tensor:
            rates = [(p, float(g["lr"])) for g in optimizer.param_groups for p in g["params"] if p.ndim > 1]
            weights = [weight for weight, _ in rates]
            # Taken before the step and subtracted after it, so that a step that is refused moves nothing.
            shares = [weight.detach() * (lr * self.strength) for weight, lr in rates]
            loss = step(closure)
            with torch.no_grad():
                torch._foreach_sub_(weights, shares)
            return loss

        return decayed_step
