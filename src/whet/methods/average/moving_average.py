"""The exponential moving average of the weights of a network in training."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from whet.core.batch import Progress
from whet.core.runtime import Runtime


class MovingAverage(Runtime):
    """The decay of step t is min(decay, (1 + t) / (10 + t)), so that early weights are soon forgotten. BatchNorm statistics are
    averaged too; counters are copied. average: the tensors to keep it in, by default copies of the network's."""

    def __init__(self, net: nn.Module, decay: float, average: dict[str, Tensor] | None = None) -> None:
        self._net = net
        self._decay = decay
        copies = {name: tensor.detach().clone() for name, tensor in net.state_dict().items()}
        self.average = copies if average is None else average

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
