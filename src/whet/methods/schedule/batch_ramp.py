from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.batch import Progress, Settings
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Sets


class BatchRamp(
    Method,
    Sets,
    family="schedule",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Increase the batch size during training instead of decreasing the learning rate.

    Use when: large batches use the hardware better (above all a GPU), and the learning rate is constant or decreases little.
    Do not use when: an epoch has only a few batches, or memory is short (combine it with accumulate in that case).
    Source: Smith et al. 2018, arXiv:1711.00489.
    Deviates: the batch grows in whole multiples, evenly on a log scale, instead of in a few jumps.
    Shapes: a step uses round(times ** (progress / full_at)) of the recipe's batches together. Budgets, schedules and durations
    still count the recipe's batches, so the length of an epoch does not change.
    """

    identity = {"times": 1}
    conflicts = frozenset({"snapshot"})  # a large step would skip its restarts

    times: Annotated[
        int, Field(ge=1, le=64, description="final batch size as a multiple of the recipe's"), Search(2, 16)
    ] = 4
    full_at: Annotated[
        float,
        Field(gt=0, le=1, description="fraction of training after which the batch has its final size"),
        Search(0.4, 1.0),
    ] = 0.7

    def settings(self, progress: Progress, settings: Settings) -> Settings:
        grown = self.times ** min(1.0, progress.fraction / self.full_at)
        return settings.replace(batches=settings.batches * round(grown))
