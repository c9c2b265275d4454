from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from whet.core.batch import Progress
from whet.core.duration import Duration
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Scales
from whet.methods.schedule.courses import other_courses


class WarmupStableDecay(
    Method,
    Scales,
    family="schedule",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Increase the learning rate, keep it constant for most of the training, then decrease it to zero in the last part.

    Use when: a training may be extended from the end of its constant part, or trainings of several lengths should share it.
    Do not use when: you need one short training of known length. cosine has no phases to set.
    Source: Hu et al. 2024, arXiv:2404.06395; the shape 1 - sqrt: Hägele et al. 2024, arXiv:2405.18392.
    Shapes: (step + 1) / warmup, then 1, then 1 - d or 1 - sqrt(d), where d goes from 0 to 1 over the decay.
    """

    identity = {"warmup": "0st", "decay": "0st"}
    conflicts = other_courses("warmup_stable_decay") | {"warmup"}

    warmup: Annotated[Duration, Field(description="length of the increase: 2ep, 500st or 0.05dur")] = Duration(
        0.05, "dur"
    )
    decay: Annotated[Duration, Field(description="length of the decrease at the end: 2ep, 500st or 0.2dur")] = Duration(
        0.2, "dur"
    )
    shape: Annotated[
        Literal["linear", "one_minus_sqrt"],
        Field(description="shape of the decrease"),
        Search(choices=("linear", "one_minus_sqrt")),
    ] = "one_minus_sqrt"

    def factor(self, progress: Progress) -> float:
        rise, fall = progress.steps(self.warmup), progress.steps(self.decay)
        left = progress.total_steps - progress.step
        factor = min(1.0, (progress.step + 1) / rise) if rise else 1.0
        if left >= fall:
            return factor
        done = 1 - left / fall
        return factor * (1 - (done if self.shape == "linear" else done**0.5))
