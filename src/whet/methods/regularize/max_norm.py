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
    """After every step, scale down the incoming weights of each unit to a maximum norm.

    Use when: weights of single units grow large because of dropout and large learning rates.
    Do not use when: BatchNorm follows every layer, because it cancels the scale of the weights.
    Source: Srebro & Shraibman 2005; with dropout: Srivastava et al. 2014, section 5.1.
    Shapes: every trained weight (out, ...): the norm of each row is at most max_norm. Biases and norms are excluded.
    """

    identity = None
    exceptions = {"identity": "a bound is never infinite; a very large one changes no weight"}
    order = 10  # runs before the methods that average the weights

    max_norm: Annotated[
        float, Field(gt=0, description="maximum norm of the weights of a unit"), Search(0.5, 10.0, log=True)
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
