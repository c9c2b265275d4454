from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.batch import Progress, Settings
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Sets

_STEP = 32  # most networks downsample the image by two five times


class ProgressiveResize(Method, Sets, family="schedule", tasks={"image-classification", "semantic-segmentation"}):
    """Begin with small images, which train faster, and increase the image size to the full size.

    Use when: time is short and the network accepts any image size.
    Do not use when: small images lose the details that distinguish the classes, or the network needs a fixed size.
    Source: Howard et al. 2018 (fast.ai, DAWNBench); Tan & Le 2021, arXiv:2104.00298.
    Shapes: sets the image size of each epoch, in steps of 32 px.
    """

    identity = {"start_fraction": 1.0}

    start_fraction: Annotated[
        float,
        Field(gt=0, le=1, description="image size of the first epoch as a fraction of the full size"),
        Search(0.4, 1.0),
    ] = 0.57
    full_at: Annotated[
        float,
        Field(gt=0, le=1, description="fraction of training after which images have the full size"),
        Search(0.4, 1.0),
    ] = 0.7

    def settings(self, progress: Progress, settings: Settings) -> Settings:
        size = settings.size
        share = self.start_fraction + (1 - self.start_fraction) * min(1.0, progress.fraction / self.full_at)
        if share >= 1:
            return settings
        step = _STEP if size >= 2 * _STEP else 8
        return settings.replace(size=min(size, max(step, round(share * size / step) * step)))
