from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor

from whet.core.batch import Context, Progress
from whet.core.method import Method
from whet.core.runtime import Runtime
from whet.core.search import Search
from whet.core.stages import KeepsEnsembleMembers, Scales, Watches
from whet.methods.average.mean import stored
from whet.models.net import Net


class Snapshot(
    Method,
    Watches,
    Scales,
    KeepsEnsembleMembers,
    family="average",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Lower the learning rate along half a cosine several times over, and answer with the mean of the models at the low points.

    Use when: a better answer is worth as many times the time at prediction, and training is long enough for several descents.
    Do not use when: training is a few epochs, or predictions must be fast.
    Source: Huang et al. 2017, arXiv:1704.00109.
    Deviates: cycles differ by a step where they do not divide the training evenly, so that the last one ends with it.
    Shapes: factor (cos(pi * t / T) + 1) / 2, t counted from each restart, T the steps of a cycle; the mean is that of the
    probabilities (B, K).
    """

    identity = None
    exceptions = {"identity": "a single cycle is still a cosine"}
    conflicts = frozenset({"cosine", "one_cycle", "ema", "swa", "lawa", "soup", "early_stopping"})

    cycles: Annotated[int, Field(ge=1, description="descents, each of the same length"), Search(2, 8)] = 5
    members: Annotated[int, Field(ge=1, description="the last so many answer; 1 takes the final weights alone")] = 5

    def factor(self, progress: Progress) -> float:
        done = self.cycles * progress.step % progress.total_steps / progress.total_steps
        return (1 + math.cos(math.pi * done)) / 2

    def start(self, net: Net, context: Context) -> _Snapshots:
        return _Snapshots(net, self)

    def ensemble_members(self, runtime: _Snapshots) -> list[dict[str, Tensor]]:
        return runtime.taken

    def restarts(self, progress: Progress) -> bool:
        """Whether the next step is the first of a cycle: whole cycles lie behind the steps taken, but not behind one less."""
        return progress.step < progress.total_steps and self.cycles * progress.step % progress.total_steps < self.cycles


class _Snapshots(Runtime):
    """The weights at the low points before the end, as many as answer beside the final ones."""

    def __init__(self, net: Net, method: Snapshot) -> None:
        self._net, self._method = net, method
        self.taken: list[dict[str, Tensor]] = []

    def after_step(self, progress: Progress) -> None:
        if self._method.members > 1 and self._method.restarts(progress):
            self.taken = [*self.taken, stored(self._net.state_dict())][1 - self._method.members :]

    def state_dict(self) -> dict[str, Any]:
        return {"taken": self.taken}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.taken = state["taken"]
