from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.batch import Progress
from whet.core.duration import Duration
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Scales
from whet.methods.schedule.courses import other_courses


class Multistep(
    Method,
    Scales,
    family="schedule",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Multiply the learning rate by one factor at given points of the training.

    Use when: you want to reproduce an older recipe, above all for residual networks.
    Do not use when: there is no specific reason. cosine needs no milestones.
    Source: He et al. 2016, arXiv:1512.03385 (after a half and three quarters of the steps). As
    torch.optim.lr_scheduler.MultiStepLR.
    """

    identity = {"gamma": 1.0}
    conflicts = other_courses("multistep")

    milestones: Annotated[
        tuple[Duration, ...], Field(description="times of the changes: 30ep, 5000st or 0.5dur each")
    ] = (
        Duration(0.5, "dur"),
        Duration(0.75, "dur"),
    )
    gamma: Annotated[float, Field(gt=0, le=1, description="factor at each milestone"), Search(0.05, 0.7, log=True)] = (
        0.1
    )

    def factor(self, progress: Progress) -> float:
        return self.gamma ** sum(progress.step >= progress.steps(milestone) for milestone in self.milestones)
