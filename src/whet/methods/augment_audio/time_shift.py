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
    """Shift each audio clip in time by a random fraction of its length.

    Use when: the event can occur anywhere in the clip.
    Do not use when: all clips, in training and at prediction time, start at the beginning of the event.
    Source: Salamon and Bello 2017, arXiv:1608.04363 (as windows drawn at random); Jordal 2019, audiomentations, Shift.
    Shapes: moves view.start_B, samples (B,).
    """

    identity = {"max_fraction": 0.0}
    order = 20

    max_fraction: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="the shift is drawn uniformly from -max_fraction to max_fraction of the clip's length",
        ),
        Search(0.05, 0.5),
    ] = 0.2
    wrap: Annotated[bool, Field(description="wrap audio around at the ends; if false, fill with silence")] = True

    def draw(self, view: AudioView, rng: BatchRng) -> AudioView:
        if self.max_fraction == 0:
            return view
        shift_B = rng.uniform(-self.max_fraction, self.max_fraction) * view.samples
        return view.shifted(np.rint(shift_B), wrap=self.wrap)
