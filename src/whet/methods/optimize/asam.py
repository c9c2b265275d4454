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
    Method,
    WrapsStep,
    family="optimize",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Use the gradient at the worst point nearby, with distances measured relative to the size of each weight (adaptive SAM).

    Use when: as sam, if the scales of the layers differ. Every step takes two forward and backward passes.
    Do not use when: time is short. Twice as many plain steps often give the same result.
    Source: Kwon et al. 2021, arXiv:2102.11600.
    Deviates: both passes update the running statistics of BatchNorm.
    Shapes: the gradient at w + rho t^2 g / |t g| with t = |w| + eta (1 for norms and biases), applied by the optimizer at w.
    """

    identity = {"rho": 0.0}
    order = 10
    conflicts = frozenset({"sam", "awp"})

    rho: Annotated[float, Field(ge=0, description="distance of the worst point"), Search(0.1, 2.0, log=True)] = 0.5
    eta: Annotated[float, Field(ge=0, description="added to the size of a weight, so that zero weights move too")] = (
        0.01
    )

    def wrap_step(self, step: Step, parameters: list[nn.Parameter]) -> Step:
        return step_from_uphill(step, parameters, self._uphill) if self.rho else step

    def _uphill(self, weights: list[Tensor], gradients: list[Tensor]) -> list[Tensor]:
        sizes = [w.abs() + self.eta if w.ndim > 1 else torch.ones_like(w) for w in weights]
        scaled = [size * gradient for size, gradient in zip(sizes, gradients)]
        length = torch.nn.utils.get_total_norm(scaled) + 1e-12
        return [size * gradient * (self.rho / length) for size, gradient in zip(sizes, scaled)]
