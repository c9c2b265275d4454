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
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Shrink the weights by a small fraction at every step, independently of the gradient and the optimizer.

    Use when: in almost every training; with adaptive optimizers instead of l2.
    Do not use when: training is so short that the weights hardly grow, or few weights are trained (for a linear probe use l2).
    Source: Loshchilov & Hutter 2019, arXiv:1711.05101.
    Shapes: w <- (w after the optimizer's step) - lr * strength * (w before the step). Norms and biases are excluded. If the
    optimizer has its own weight_decay, it is set to 0 and the run reports this, so that weights decay once.
    """

    identity = {"strength": 0.0}
    order = 95  # directly around the optimizer, inside the methods that accept or reject whole steps

    strength: Annotated[
        float, Field(ge=0, description="weights shrink by lr * this per step"), Search(1e-4, 0.3, log=True)
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
            # Computed before the step and subtracted after it, so that a rejected step changes nothing.
            decays = [weight.detach() * (lr * self.strength) for weight, lr in rates]
            loss = step(closure)
            with torch.no_grad():
                torch._foreach_sub_(weights, decays)
            return loss

        return decayed_step
