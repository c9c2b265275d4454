from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.audio_view import AudioView
from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws


class TimeShift(Method, Draws, family="augment", tasks={"audio-classification"}):
    """Let each audio clip begin earlier or later by a random part of the clip.

    Use when: what is heard may stand anywhere in the clip.
    Do not use when: clips are cut to the event's beginning, and stay so in use.
    Source: Salamon and Bello 2017, arXiv:1608.04363 (by windows drawn at random); Jordal 2019, audiomentations, Shift.
    Shapes: moves view.start_B, samples (B,).
    """

    identity = {"max_fraction": 0.0}
    order = 20

    max_fraction: Annotated[
        float,
        Field(ge=0, le=1, description="the shift is uniform in -this … this of the clip's length"),
        Search(0.05, 0.5),
    ] = 0.2
    wrap: Annotated[bool, Field(description="what leaves at one end enters at the other; else there is silence")] = True

    def draw(self, view: AudioView, rng: BatchRng) -> AudioView:
        if self.max_fraction == 0:
            return view
        shift_B = rng.uniform(-self.max_fraction, self.max_fraction) * view.samples
        return view.shifted(np.rint(shift_B), wrap=self.wrap)
