from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from whet.core.batch import Step
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import WrapsStep
from whet.methods.optimize.sharpness import step_from_uphill


class ASAM(
    Method, WrapsStep, family="optimize", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Step by the gradient at the worst point nearby, where near is measured in each weight's own size (adaptive SAM).

    Use when: as sam, where layers differ in scale; every step costs two.
    Do not use when: time is what is short: twice the steps often do as well.
    Source: Kwon et al. 2021, arXiv:2102.11600.
    Deviates: BatchNorm's running statistics see both passes.
    Shapes: the gradient at w + rho t^2 g / |t g| with t = |w| + eta (1 for norms and biases), taken by the optimizer at w.
    """

    identity = {"rho": 0.0}
    order = 10
    conflicts = frozenset({"sam", "awp"})

    rho: Annotated[float, Field(ge=0, description="how far away the worst point is"), Search(0.1, 2.0, log=True)] = 0.5
    eta: Annotated[float, Field(ge=0, description="added to a weight's size, so that zeros move too")] = 0.01

    def wrap_step(self, step: Step, parameters: list[nn.Parameter]) -> Step:
        return step_from_uphill(step, parameters, self._uphill) if self.rho else step

    def _uphill(self, weights: list[Tensor], gradients: list[Tensor]) -> list[Tensor]:
        sizes = [w.abs() + self.eta if w.ndim > 1 else torch.ones_like(w) for w in weights]
        scaled = [size * gradient for size, gradient in zip(sizes, gradients)]
        length = torch.nn.utils.get_total_norm(scaled) + 1e-12
        return [size * gradient * (self.rho / length) for size, gradient in zip(sizes, scaled)]
