"""Exponential means of statistics of the batches."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class RunningMeans:
    """Named means. The decay of update t is min(momentum, (1 + t) / (10 + t)), so that the initial values are soon forgotten.

    `with_batch` returns a mean that includes a batch; `commit` keeps the batches since the last one as one update. A step that
    computes its loss several times (parts of a batch, sharpness) therefore starts from the same means each time.
    """

    def __init__(self, momentum: float, **initial: Tensor) -> None:
        self._momentum, self.values, self._updates = momentum, initial, 0
        self._batches: dict[str, list[Tensor]] = {name: [] for name in initial}

    @property
    def _keep(self) -> float:
        return min(self._momentum, (2 + self._updates) / (11 + self._updates))

    def with_batch(self, name: str, value: Tensor) -> Tensor:
        value = value.detach().to(self.values[name])
        self._batches[name].append(value)
        return self.values[name].lerp(value, 1 - self._keep)

    def commit(self) -> None:
        for name, batches in self._batches.items():
            if batches:
                self.values[name] = self.values[name].lerp(torch.stack(batches).mean(dim=0), 1 - self._keep)
                batches.clear()
        self._updates += 1

    def state_dict(self) -> dict[str, Any]:
        return {"values": self.values, "updates": self._updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._updates = state["updates"]
        self.values = {name: state["values"][name].to(mean) for name, mean in self.values.items()}
