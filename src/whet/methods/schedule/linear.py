from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.batch import Progress
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Scales
from whet.methods.schedule.courses import other_courses


class Linear(
    Method,
    Scales,
    family="schedule",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Decrease the learning rate linearly to (nearly) zero at the end of training.

    Use when: fine-tuning, above all transformers after a warm-up; the length of training is known.
    Do not use when: training may be stopped early or extended.
    Source: Devlin et al. 2019, arXiv:1810.04805; compared by Defazio et al. 2023, arXiv:2310.07831. As
    torch.optim.lr_scheduler.LinearLR.
    """

    identity = {"final_factor": 1.0}
    conflicts = other_courses("linear")

    final_factor: Annotated[float, Field(ge=0, le=1, description="factor at the end"), Search(0.0, 0.1)] = 0.0

    def factor(self, progress: Progress) -> float:
        return 1 + (self.final_factor - 1) * progress.fraction
