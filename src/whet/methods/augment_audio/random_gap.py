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
    """Silence a random stretch of some audio clips.

    Use when: lines drop out, or the network leans on one short event where several tell the class.
    Do not use when: the event is short: the gap may hide the whole of it.
    Source: DeVries and Taylor 2017, arXiv:1708.04552 (for images); Jordal 2019, audiomentations, TimeMask.
    Shapes: draws spans (B, 1, 2) in output samples into view.gaps, faded over 5 ms.
    """

    identity = {"prob": 0.0}
    order = 80

    prob: Annotated[float, Field(ge=0, le=1, description="share of audio clips changed"), Search(0.0, 1.0)] = 0.5
    max_fraction: Annotated[
        float,
        Field(gt=0, le=0.5, description="the gap's length is uniform in 0 … this of the clip's"),
        Search(0.02, 0.3),
    ] = 0.1

    def draw(self, view: AudioView, rng: BatchRng) -> AudioView:
        if self.prob == 0:
            return view
        width_B = np.rint(rng.uniform(0, self.max_fraction) * view.samples) * rng.bernoulli(self.prob)
        first_B = np.floor(rng.uniform() * (view.samples - width_B + 1))
        span_BN2 = np.stack([first_B, first_B + width_B], axis=1).astype(np.int64)[:, None]
        return view.silenced(Gap(span_BN2, fade=round(0.005 * view.rate)))
