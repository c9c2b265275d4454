from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field

from whet.core.batch import Progress
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Scales
from whet.methods.schedule.courses import other_courses


class Cosine(
    Method,
    Scales,
    family="schedule",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Decrease the learning rate along a cosine to (nearly) zero at the end of training.

    Use when: the length of training is known; the default.
    Do not use when: training may be stopped early or extended.
    Source: Loshchilov & Hutter 2017, arXiv:1608.03983 (without restarts).
    """

    identity = {"final_factor": 1.0}
    conflicts = other_courses("cosine")

    final_factor: Annotated[float, Field(ge=0, le=1, description="factor at the end"), Search(0.0, 0.1)] = 0.0

    def factor(self, progress: Progress) -> float:
        return self.final_factor + (1 - self.final_factor) * (1 + math.cos(math.pi * progress.fraction)) / 2
