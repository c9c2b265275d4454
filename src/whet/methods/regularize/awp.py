from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from whet.core.batch import Closure, Step
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import WrapsStep


class AWP(
    Method,
    WrapsStep,
    family="regularize",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Take the gradient where the weights are moved, layer by layer, towards a larger loss; then step from where they were.

    Use when: a flat minimum is wanted: small data, noisy labels, adversarial examples.
    Do not use when: time is short, as every step costs two passes; sam is in the recipe, which moves all layers together.
    Source: Wu, Xia, Wang 2020, arXiv:2004.05884.
    Deviates: used on plain samples; the move follows the gradient of the model in training instead of a proxy's. BatchNorm's
    statistics see both passes.
    Shapes: each weight moves by gamma times its own length along its own gradient; biases and norms stay.
    """

    identity = {"gamma": 0.0}
    order = 30
    conflicts = frozenset({"lbfgs"})  # its line search needs the gradient of the very loss it is told

    gamma: Annotated[
        float, Field(ge=0, description="length of the move as a share of the weight's"), Search(1e-3, 5e-2, log=True)
    ] = 0.01

    def wrap_step(self, step: Step, parameters: list[nn.Parameter]) -> Step:
        if self.gamma == 0:
            return step
        weights: list[Tensor] = [p for p in parameters if p.ndim > 1]

        def hardened_step(closure: Closure) -> Tensor:
            def hardened() -> Tensor:
                loss = closure()
                with torch.no_grad():
                    kept = [weight.clone() for weight in weights]
                    for weight in weights:
                        if weight.grad is not None:
                            scale = weight.norm() / weight.grad.norm().clamp(min=1e-12)
                            weight.add_(weight.grad * (self.gamma * scale))
                try:
                    closure()
                finally:
                    with torch.no_grad():
                        torch._foreach_copy_(weights, kept)
                return loss

            return step(hardened)

        return hardened_step
