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
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Decrease the learning rate along a cosine several times and average the predictions of the models at the end of each cycle.

    Use when: better predictions are worth several times the inference time, and training is long enough for several cycles.
    Do not use when: training is a few epochs, or inference must be fast.
    Source: Huang et al. 2017, arXiv:1704.00109.
    Deviates: if the cycles do not divide the training evenly, their lengths differ by one step, so that the last cycle ends with
    the training.
    Shapes: factor (cos(pi * t / T) + 1) / 2, t counted from each restart, T the steps of a cycle; the probabilities (B, K) are
    averaged.
    """

    identity = None
    exceptions = {"identity": "a single cycle is still a cosine schedule"}
    conflicts = frozenset({"cosine", "one_cycle", "ema", "swa", "lawa", "soup", "early_stopping"})

    cycles: Annotated[int, Field(ge=1, description="number of cycles of equal length"), Search(2, 8)] = 5
    members: Annotated[
        int,
        Field(
            ge=1, description="number of models in the ensemble, from the last cycles; 1 uses only the final weights"
        ),
    ] = 5

    def factor(self, progress: Progress) -> float:
        done = self.cycles * progress.step % progress.total_steps / progress.total_steps
        return (1 + math.cos(math.pi * done)) / 2

    def start(self, net: Net, context: Context) -> _Snapshots:
        return _Snapshots(net, self)

    def ensemble_members(self, runtime: _Snapshots) -> list[dict[str, Tensor]]:
        return runtime.taken

    def restarts(self, progress: Progress) -> bool:
        """Whether the next step is the first step of a cycle."""
        return progress.step < progress.total_steps and self.cycles * progress.step % progress.total_steps < self.cycles


class _Snapshots(Runtime):
    """The weights at the ends of the cycles before the last one: members - 1 copies."""

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
