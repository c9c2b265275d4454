from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.batch import Progress
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Scales
from whet.methods.schedule.courses import other_courses


class Polynomial(
    Method,
    Scales,
    family="schedule",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Decrease the learning rate to its final value along a power of the remaining training time.

    Use when: segmentation, where this schedule is common; or you want a decreasing rate with one shape parameter.
    Do not use when: training may be stopped early or extended.
    Source: Chen et al. 2017, arXiv:1606.00915 (DeepLab, the "poly" policy). As torch.optim.lr_scheduler.PolynomialLR.
    """

    identity = {"final_factor": 1.0}
    conflicts = other_courses("polynomial")

    power: Annotated[
        float, Field(gt=0, description="1 is linear; larger values decrease the rate earlier"), Search(0.5, 3.0)
    ] = 0.9
    final_factor: Annotated[float, Field(ge=0, le=1, description="factor at the end"), Search(0.0, 0.1)] = 0.0

    def factor(self, progress: Progress) -> float:
        return self.final_factor + (1 - self.final_factor) * (1 - progress.fraction) ** self.power
