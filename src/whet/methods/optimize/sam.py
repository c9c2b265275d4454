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


class SAM(
    Method,
    WrapsStep,
    family="optimize",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Use the gradient at the worst point nearby, which leads to flat minima (sharpness-aware minimization).

    Use when: a network overfits, or labels are noisy. Every step takes two forward and backward passes.
    Do not use when: time is short. Twice as many plain steps often give the same result.
    Source: Foret et al. 2021, arXiv:2010.01412.
    Deviates: both passes update the running statistics of BatchNorm.
    Shapes: the gradient at w + rho g / |g|, applied by the optimizer at w. Clipping applies to that gradient.
    """

    identity = {"rho": 0.0}
    order = 10
    conflicts = frozenset({"asam", "awp"})

    rho: Annotated[float, Field(ge=0, description="distance of the worst point"), Search(0.01, 0.5, log=True)] = 0.05

    def wrap_step(self, step: Step, parameters: list[nn.Parameter]) -> Step:
        return step_from_uphill(step, parameters, self._uphill) if self.rho else step

    def _uphill(self, weights: list[Tensor], gradients: list[Tensor]) -> list[Tensor]:
        length = torch.nn.utils.get_total_norm(gradients) + 1e-12
        return [gradient * (self.rho / length) for gradient in gradients]
