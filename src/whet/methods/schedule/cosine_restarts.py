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
    Method, Scales, family="schedule", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Lower the learning rate along half a cosine several times, each time from the full rate and for longer.

    Use when: snapshots at the ends of the cycles are wanted, or a good model early and a better one late.
    Do not use when: only the end counts: one cosine ends as well or better.
    Source: Loshchilov & Hutter 2017, arXiv:1608.03983 (SGDR). As torch.optim.lr_scheduler.CosineAnnealingWarmRestarts.
    Deviates: the first cycle's length follows from the others, so that the last one ends with the training.
    """

    identity = {"final_factor": 1.0}
    conflicts = other_courses("cosine_restarts")

    cycles: Annotated[int, Field(ge=1, description="how many"), Search(2, 6)] = 3
    longer: Annotated[
        float, Field(ge=1, description="length of a cycle in units of the one before"), Search(1.0, 3.0)
    ] = 2.0
    final_factor: Annotated[float, Field(ge=0, le=1, description="factor at a cycle's end"), Search(0.0, 0.1)] = 0.0

    def factor(self, progress: Progress) -> float:
        lengths = [self.longer**cycle for cycle in range(self.cycles)]
        place = progress.fraction * sum(lengths)  # in units of the first cycle
        while len(lengths) > 1 and place >= lengths[0]:
            place -= lengths.pop(0)
        return self.final_factor + (1 - self.final_factor) * (1 + math.cos(math.pi * place / lengths[0])) / 2
