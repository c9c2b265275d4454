from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field

from whet.core.batch import Progress
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Scales
from whet.methods.schedule.courses import other_courses


class CosineRestarts(
    Method,
    Scales,
    family="schedule",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Decrease the learning rate along a cosine several times, restarting at the full rate with a longer cycle each time.

    Use when: you want snapshots at the ends of the cycles, or a good model early and a better one late.
    Do not use when: only the final model matters. One cosine gives the same or a better result.
    Source: Loshchilov & Hutter 2017, arXiv:1608.03983 (SGDR). As torch.optim.lr_scheduler.CosineAnnealingWarmRestarts.
    Deviates: the length of the first cycle follows from the others, so that the last cycle ends with the training.
    """

    identity = {"final_factor": 1.0}
    conflicts = other_courses("cosine_restarts")

    cycles: Annotated[int, Field(ge=1, description="number of cycles"), Search(2, 6)] = 3
    longer: Annotated[
        float, Field(ge=1, description="length of a cycle relative to the previous one"), Search(1.0, 3.0)
    ] = 2.0
    final_factor: Annotated[float, Field(ge=0, le=1, description="factor at the end of a cycle"), Search(0.0, 0.1)] = (
        0.0
    )

    def factor(self, progress: Progress) -> float:
        lengths = [self.longer**cycle for cycle in range(self.cycles)]
        position = progress.fraction * sum(lengths)  # in units of the first cycle
        while len(lengths) > 1 and position >= lengths[0]:
            position -= lengths.pop(0)
        return self.final_factor + (1 - self.final_factor) * (1 + math.cos(math.pi * position / lengths[0])) / 2
