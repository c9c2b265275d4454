from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from whet.core.batch import Context, FinalizeContext, Progress
from whet.core.duration import Duration
from whet.core.method import Method
from whet.core.runtime import Runtime
from whet.core.stages import ChoosesWeights, Finalizes, Watches
from whet.methods.average.mean import is_due, renew_statistics
from whet.models.net import Net


class SWA(
    Method,
    Watches,
    ChoosesWeights,
    Finalizes,
    family="average",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Predict with the mean of the weights at the ends of the last epochs (stochastic weight averaging).

    Use when: the learning rate stays large to the end (constant or with restarts), so that late weights differ.
    Do not use when: the learning rate decreases to zero (cosine). Late weights are then nearly equal.
    Source: Izmailov et al. 2018, arXiv:1803.05407.
    Deviates: the method does not change the learning rate; the schedule of the recipe sets it.
    Shapes: validation during training uses the last weights. The mean replaces them at the end, when one pass over the training
    samples recomputes the BatchNorm statistics.
    """

    identity = {"start_at": "1dur"}
    conflicts = frozenset({"ema", "lawa", "soup", "snapshot", "early_stopping"})

    start_at: Annotated[
        Duration, Field(description="time in training at which averaging starts: 0.75dur, 15ep or 500st")
    ] = Duration(0.75, "dur")
    every: Annotated[
        Duration, Field(description="time between two copies of the weights, counted back from the end")
    ] = Duration(1, "ep")

    def start(self, net: Net, context: Context) -> _Mean:
        return _Mean(net, self.start_at, self.every)

    def weights(self, weights: dict[str, Tensor], runtime: _Mean, final: bool) -> dict[str, Tensor]:
        return runtime.mean if final and runtime.count > 1 else weights

    def finalize(self, net: Net, runtime: _Mean, context: FinalizeContext) -> None:
        if runtime.count > 1:
            with context.precision():
                renew_statistics(net, context.inputs())


class _Mean(Runtime):
    def __init__(self, net: Net, start: Duration, every: Duration) -> None:
        self._net, self._start, self._every = net, start, every
        self.mean: dict[str, Tensor] = {}
        self.count = 0

    @torch.no_grad()
    def after_step(self, progress: Progress) -> None:
        if progress.step < progress.steps(self._start) or not is_due(progress, self._every):
            return
        self.count += 1
        now = self._net.state_dict()
        if self.count == 1:
            self.mean = {name: tensor.clone() for name, tensor in now.items()}
        for name, tensor in now.items():
            if tensor.is_floating_point():
                self.mean[name].lerp_(tensor, 1 / self.count)
            else:
                self.mean[name].copy_(tensor)

    def state_dict(self) -> dict[str, Any]:
        return {"mean": self.mean, "count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        now, self.count = self._net.state_dict(), state["count"]
        self.mean = {name: tensor.to(now[name].device) for name, tensor in state["mean"].items()}
