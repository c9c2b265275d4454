from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.audio_view import AudioView, Gap
from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws


class RandomGap(Method, Draws, family="augment", tasks={"audio-classification"}):
    """Silence a random segment of some audio clips.

    Use when: transmission drops out, or the network depends on one short event although several determine the class.
    Do not use when: the event is short. The gap may hide it completely.
    Source: DeVries and Taylor 2017, arXiv:1708.04552 (for images); Jordal 2019, audiomentations, TimeMask.
    Shapes: appends spans (B, 1, 2) in output samples to view.gaps, with a fade of 5 ms.
    """

    identity = {"prob": 0.0}
    order = 80

    prob: Annotated[
        float, Field(ge=0, le=1, description="probability that an audio clip is changed"), Search(0.0, 1.0)
    ] = 0.5
    max_fraction: Annotated[
        float,
        Field(gt=0, le=0.5, description="the length of the gap is drawn uniformly from 0 to max_fraction of the clip"),
        Search(0.02, 0.3),
    ] = 0.1

    def draw(self, view: AudioView, rng: BatchRng) -> AudioView:
        if self.prob == 0:
            return view
        width_B = np.rint(rng.uniform(0, self.max_fraction) * view.samples) * rng.bernoulli(self.prob)
        first_B = np.floor(rng.uniform() * (view.samples - width_B + 1))
        span_BN2 = np.stack([first_B, first_B + width_B], axis=1).astype(np.int64)[:, None]
        return view.silenced(Gap(span_BN2, fade=round(0.005 * view.rate)))
