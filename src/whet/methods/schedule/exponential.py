from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.batch import Progress
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Scales
from whet.methods.schedule.courses import other_courses


class Exponential(
    Method,
    Scales,
    family="schedule",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Decrease the learning rate by the same factor at every step.

    Use when: you want to reproduce an older recipe.
    Do not use when: training is long. The rate is close to its final value for most of it.
    Source: Senior et al. 2013, "An empirical study of learning rates in deep neural networks for speech recognition". As
    torch.optim.lr_scheduler.ExponentialLR, whose gamma is the root of `final_factor`.
    """

    identity = {"final_factor": 1.0}
    conflicts = other_courses("exponential")

    final_factor: Annotated[float, Field(gt=0, le=1, description="factor at the end"), Search(1e-3, 0.3, log=True)] = (
        0.01
    )

    def factor(self, progress: Progress) -> float:
        return self.final_factor**progress.fraction
