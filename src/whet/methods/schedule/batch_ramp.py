from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.batch import Progress, Settings
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Sets


class BatchRamp(
    Method, Sets, family="schedule", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Let the batch grow in the course of training instead of letting the learning rate fall.

    Use when: large batches use the machine better, a GPU most of all, and the learning rate is constant or falls little.
    Do not use when: epochs are a handful of batches, or memory is short (then with accumulate).
    Source: Smith et al. 2018, arXiv:1711.00489.
    Deviates: the batch grows in whole multiples, evenly on a log scale, instead of in a few jumps.
    Shapes: a step takes round(times ** (progress / full_at)) of the recipe's batches together; budgets, schedules and durations
    go on counting the recipe's batches, so an epoch stays an epoch.
    """

    identity = {"times": 1}
    conflicts = frozenset({"snapshot"})  # whose restarts a large step would jump over

    times: Annotated[int, Field(ge=1, le=64, description="the batch at the end, as a multiple"), Search(2, 16)] = 4
    full_at: Annotated[
        float, Field(gt=0, le=1, description="where in training the batch has grown to that"), Search(0.4, 1.0)
    ] = 0.7

    def settings(self, progress: Progress, settings: Settings) -> Settings:
        grown = self.times ** min(1.0, progress.fraction / self.full_at)
        return settings.replace(batches=settings.batches * round(grown))
