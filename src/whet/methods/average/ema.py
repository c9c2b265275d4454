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


class EMA(
    Method,
    Watches,
    ChoosesWeights,
    family="average",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Predict with an exponential moving average of the weights instead of the last weights.

    Use when: in almost every training. It costs little and smooths the last steps.
    Do not use when: training is a few dozen steps.
    Source: Polyak & Juditsky 1992; as used in Tarvainen & Valpola 2017, arXiv:1703.01780.
    Deviates: the decay grows during training, min(decay, (1 + t) / (10 + t)), so that early weights are soon forgotten. BatchNorm
    statistics are averaged too.
    """

    identity = {"decay": 0.0}
    conflicts = frozenset({"swa", "lawa", "soup", "snapshot"})

    decay: Annotated[float, Field(ge=0, lt=1, description="decay of the average per step"), Search(0.9, 0.9999)] = 0.999

    def start(self, net: nn.Module, context: Context) -> _Average:
        return _Average(net, self.decay)

    def weights(self, weights: dict[str, Tensor], runtime: _Average, final: bool) -> dict[str, Tensor]:
        return runtime.average if self.decay > 0 else weights


class _Average(Runtime):
    def __init__(self, net: nn.Module, decay: float) -> None:
        self._net = net
        self._decay = decay
        self.average = {name: tensor.detach().clone() for name, tensor in net.state_dict().items()}

    @torch.no_grad()
    def after_step(self, progress: Progress) -> None:
        if self._decay == 0:
            return
        keep = min(self._decay, (1 + progress.step) / (10 + progress.step))
        now = self._net.state_dict()
        floats = [name for name, tensor in now.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([self.average[name] for name in floats], [now[name] for name in floats], 1 - keep)
        for name in now.keys() - set(floats):
            self.average[name].copy_(now[name])

    def state_dict(self) -> dict[str, Any]:
        return {"average": self.average}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, tensor in state["average"].items():
            self.average[name].copy_(tensor)
