from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import nn

from whet.core.batch import Context, Progress, Step
from whet.core.method import Method
from whet.core.runtime import Runtime
from whet.core.search import Search
from whet.core.stages import Watches, WrapsStep
from whet.methods.optimize.changed import step_with_changed_gradients


class GradientNoise(
    Method,
    Watches,
    family="optimize",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Add normal noise to the gradient that decreases during training.

    Use when: very deep networks whose training is hard to start, or poor initial weights.
    Do not use when: batches are small. Their gradients are noisy enough.
    Source: Neelakantan et al. 2015, arXiv:1511.06807.
    Shapes: adds N(0, eta / (1 + step)^gamma) to every element of the gradient, after clipping.
    """

    identity = {"eta": 0.0}

    eta: Annotated[float, Field(ge=0, description="variance at the first step"), Search(1e-4, 1.0, log=True)] = 0.01
    gamma: Annotated[
        float, Field(ge=0, description="exponent of the decrease; 0 is constant noise"), Search(0.3, 1.0)
    ] = 0.55

    def start(self, net: Any, context: Context) -> _Fading:
        return _Fading(self)


class _Fading(Runtime, WrapsStep):
    def __init__(self, method: GradientNoise) -> None:
        self._method = method
        self._step = 0

    def wrap_step(self, step: Step, parameters: list[nn.Parameter]) -> Step:
        if self._method.eta == 0:
            return step

        def add_noise() -> None:
            deviation = (self._method.eta / (1 + self._step) ** self._method.gamma) ** 0.5
            for parameter in parameters:
                if parameter.grad is not None:
                    parameter.grad.add_(torch.randn_like(parameter.grad), alpha=deviation)

        return step_with_changed_gradients(step, add_noise)

    def after_step(self, progress: Progress) -> None:
        self._step = progress.step

    def state_dict(self) -> dict[str, Any]:
        return {"step": self._step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._step = state["step"]
