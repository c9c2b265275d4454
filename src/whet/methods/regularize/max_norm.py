from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import nn

from whet.core.batch import Context, Progress
from whet.core.method import Method
from whet.core.runtime import Runtime
from whet.core.search import Search
from whet.core.stages import Watches


class MaxNorm(
    Method, Watches, family="regularize", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """After every step, shorten the incoming weights of each unit to a largest length.

    Use when: dropout and large learning rates let single units grow.
    Do not use when: BatchNorm follows every layer: it undoes any length.
    Source: Srebro & Shraibman 2005; with dropout: Srivastava et al. 2014, section 5.1.
    Shapes: every trained weight (out, ...): each row's length is at most max_norm; biases and norms are left out.
    """

    identity = None
    exceptions = {"identity": "a bound is never infinite; a very large one leaves every weight as it is"}
    order = 10  # before averages of the weights

    max_norm: Annotated[
        float, Field(gt=0, description="largest length of a unit's weights"), Search(0.5, 10.0, log=True)
    ] = 3.0

    def start(self, net: Any, context: Context) -> _Bound:
        return _Bound([p for p in net.parameters() if p.requires_grad and p.ndim > 1], self.max_norm)


class _Bound(Runtime):
    def __init__(self, weights: list[nn.Parameter], max_norm: float) -> None:
        self._weights = weights
        self._max_norm = max_norm

    @torch.no_grad()
    def after_step(self, progress: Progress) -> None:
        for weight in self._weights:
            weight.copy_(weight.renorm(p=2, dim=0, maxnorm=self._max_norm))
