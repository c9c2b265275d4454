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
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Compute the gradient at weights that are perturbed, layer by layer, towards a larger loss; then update the original

    weights.
    Use when: a flat minimum is desired: small data, noisy labels, adversarial examples.
    Do not use when: time is short, because every step takes two passes; or sam is in the recipe, which perturbs all layers
    together.
    Source: Wu, Xia, Wang 2020, arXiv:2004.05884.
    Deviates: used on unperturbed samples. The perturbation follows the gradient of the trained model instead of a proxy model.
    Both passes update the statistics of BatchNorm.
    Shapes: each weight tensor moves by gamma times its own norm along its own gradient. Biases and norms do not move.
    """

    identity = {"gamma": 0.0}
    order = 30
    conflicts = frozenset({"lbfgs"})  # its line search needs the gradient of the loss that the closure returns

    gamma: Annotated[
        float,
        Field(ge=0, description="norm of the perturbation as a fraction of the weight's norm"),
        Search(1e-3, 5e-2, log=True),
    ] = 0.01

    def wrap_step(self, step: Step, parameters: list[nn.Parameter]) -> Step:
        if self.gamma == 0:
            return step
        weights: list[Tensor] = [p for p in parameters if p.ndim > 1]

        def perturbed_step(closure: Closure) -> Tensor:
            def perturbed() -> Tensor:
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

            return step(perturbed)

        return perturbed_step
