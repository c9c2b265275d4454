from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field

from whet.core.batch import Progress
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Scales
from whet.methods.schedule.courses import other_courses


class OneCycle(
    Method,
    Scales,
    family="schedule",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Increase the learning rate to its peak, then decrease it far below its initial value, both along a cosine.

    Use when: training is short and the peak rate can be large.
    Do not use when: another schedule already warms up or decreases the rate.
    Source: torch.optim.lr_scheduler.OneCycleLR with its defaults, fast.ai's form (Howard & Gugger 2020, arXiv:2002.04688) of the
    cycle of Smith & Topin 2018, arXiv:1708.07120.
    Deviates: the paper uses linear ramps of equal length and a third phase with a lower rate. fast.ai decreases the momentum
    while the rate increases; here the momentum does not change.
    """

    identity = None
    exceptions = {"identity": "a cycle always starts below its peak"}
    conflicts = other_courses("one_cycle") | {"warmup"}

    peak_at: Annotated[
        float, Field(gt=0, lt=1, description="fraction of training at which the rate peaks"), Search(0.1, 0.5)
    ] = 0.3
    start_factor: Annotated[
        float, Field(gt=0, le=1, description="factor at the first step"), Search(0.01, 0.5, log=True)
    ] = 0.04
    final_factor: Annotated[float, Field(ge=0, le=1, description="factor at the end")] = 4e-6

    def factor(self, progress: Progress) -> float:
        done = progress.fraction
        if done < self.peak_at:
            return _between(self.start_factor, 1.0, done / self.peak_at)
        return _between(1.0, self.final_factor, (done - self.peak_at) / (1 - self.peak_at))


def _between(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
