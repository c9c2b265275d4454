from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.batch import Progress
from whet.core.duration import Duration
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Scales
from whet.methods.schedule.courses import other_courses


class Step(
    Method,
    Scales,
    family="schedule",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Multiply the learning rate by one factor at regular intervals.

    Use when: you want to reproduce an older recipe.
    Do not use when: there is no specific reason. cosine needs no interval.
    Source: Goodfellow, Bengio, Courville 2016, "Deep Learning", section 8.3. As torch.optim.lr_scheduler.StepLR.
    """

    identity = {"gamma": 1.0}
    conflicts = other_courses("step")

    every: Annotated[Duration, Field(description="length of an interval: 30ep, 5000st or 0.33dur")] = Duration(
        0.33, "dur"
    )
    gamma: Annotated[
        float, Field(gt=0, le=1, description="factor at the end of each interval"), Search(0.05, 0.7, log=True)
    ] = 0.1

    def factor(self, progress: Progress) -> float:
        return self.gamma ** (progress.step // max(1, progress.steps(self.every)))
