from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from whet.core.batch import Context, Progress
from whet.core.method import Method
from whet.core.runtime import Runtime
from whet.core.search import Search
from whet.core.stages import ChoosesWeights, Watches


class Lookahead(
    Method,
    Watches,
    ChoosesWeights,
    family="optimize",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Run the optimizer for some steps, then move the weights only part of the way to the result.

    Use when: the optimizer oscillates: large rates, small batches.
    Do not use when: the recipe already averages the weights. Both stabilize the end of training.
    Source: Zhang et al. 2019, arXiv:1907.08610. The optimizer keeps its momentum when the weights are reset.
    Shapes: after each `every` steps slow += alpha (fast - slow), fast = slow. Inference uses the slow weights.
    """

    identity = {"alpha": 1.0}
    order = 20

    every: Annotated[
        int, Field(ge=1, description="steps of the optimizer between updates of the slow weights"), Search(5, 20)
    ] = 5
    alpha: Annotated[
        float, Field(gt=0, le=1, description="fraction of the way to the fast weights"), Search(0.3, 0.9)
    ] = 0.5

    def start(self, net: nn.Module, context: Context) -> _Slow:
        return _Slow(self, net)

    def weights(self, weights: dict[str, Tensor], runtime: _Slow, final: bool) -> dict[str, Tensor]:
        return weights | runtime.slow if self.alpha < 1 else weights


class _Slow(Runtime):
    def __init__(self, method: Lookahead, net: nn.Module) -> None:
        self._method = method
        self._fast: dict[str, Tensor] = {name: p for name, p in net.named_parameters() if p.requires_grad}
        self.slow = {name: p.detach().clone() for name, p in self._fast.items()}

    @torch.no_grad()
    def after_step(self, progress: Progress) -> None:
        if self._method.alpha == 1 or progress.step % self._method.every:
            return
        fast, slow = list(self._fast.values()), list(self.slow.values())
        torch._foreach_lerp_(slow, fast, self._method.alpha)
        torch._foreach_copy_(fast, slow)

    def state_dict(self) -> dict[str, Any]:
        return {"slow": self.slow}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, tensor in state["slow"].items():
            self.slow[name].copy_(tensor)
