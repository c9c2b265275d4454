from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.batch import Progress
from whet.core.duration import Duration
from whet.core.method import Method
from whet.core.stages import Scales


class Warmup(
    Method,
    Scales,
    family="schedule",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Increase the learning rate linearly from nearly zero over the first part of training.

    Use when: the learning rate is large, weights are random, or the optimizer is adaptive.
    Do not use when: training is a few dozen steps.
    Source: Goyal et al. 2017, arXiv:1706.02677.
    Shapes: a factor (step + 1) / steps, multiplied with that of the other schedules.
    """

    identity = {"duration": "0st"}
    conflicts = frozenset({"one_cycle"})

    duration: Annotated[Duration, Field(description="length of the warm-up: 2ep, 500st or 0.05dur")] = Duration(
        0.05, "dur"
    )

    def factor(self, progress: Progress) -> float:
        steps = progress.steps(self.duration)
        return min(1.0, (progress.step + 1) / steps) if steps else 1.0
