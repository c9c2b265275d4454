from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.audio_view import AudioView
from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws


class Speed(Method, Draws, family="augment", tasks={"audio-classification"}):
    """Play each audio clip slower or faster by a random factor, which also changes its pitch.

    Use when: speakers, machines or animals differ in both size and tempo. This is the cheapest way to change both.
    Do not use when: pitch distinguishes the classes.
    Source: Ko, Peddinti, Povey, Khudanpur 2015, "Audio augmentation for speech recognition".
    Shapes: multiplies view.resample_B by factors (B,).
    """

    identity = {"max_factor": 1.0}
    order = 10

    max_factor: Annotated[
        float,
        Field(ge=1, le=2, description="the factor is drawn log-uniformly from 1 / max_factor to max_factor"),
        Search(1.0, 1.5),
    ] = 1.1

    def draw(self, view: AudioView, rng: BatchRng) -> AudioView:
        if self.max_factor == 1:
            return view
        reach = float(np.log(self.max_factor))
        return view.sped(np.exp(rng.uniform(-reach, reach)))
