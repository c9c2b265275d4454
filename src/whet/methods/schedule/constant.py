from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.batch import Progress
from whet.core.duration import Duration
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Scales
from whet.methods.schedule.courses import other_courses


class Constant(
    Method,
    Scales,
    family="schedule",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Keep the learning rate constant, or keep it at a fraction of its value for the first part of training.

    Use when: the rate should not change, and early_stopping, a weight average or plateau handles the end of training.
    Do not use when: the length of training is known. A decreasing rate gives better results.
    Source: Goyal et al. 2017, arXiv:1706.02677 (section 2.2, the constant warm-up: a share below 1).
    Shapes: a factor `share` until `duration`, then 1.
    """

    identity = {"share": 1.0}
    conflicts = other_courses("constant")

    share: Annotated[
        float,
        Field(gt=0, le=1, description="factor on the learning rate until `duration`"),
        Search(0.05, 1.0, log=True),
    ] = 1.0
    duration: Annotated[Duration, Field(description="how long the factor applies: 2ep, 500st or 0.1dur")] = Duration(
        0.1, "dur"
    )

    def factor(self, progress: Progress) -> float:
        return self.share if progress.step < progress.steps(self.duration) else 1.0
