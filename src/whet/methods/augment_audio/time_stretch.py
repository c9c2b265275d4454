from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.audio_view import AudioView
from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws


class TimeStretch(Method, Draws, family="augment", tasks={"audio-classification"}):
    """Make each audio clip slower or faster by a random factor without changing its pitch.

    Use when: speech and music have different tempi, or events have different lengths.
    Do not use when: rhythm distinguishes the classes, or audio clips are clicks, which a phase vocoder smears.
    Source: Salamon and Bello 2017, arXiv:1608.04363; the phase vocoder of Flanagan and Golden 1966, "Phase vocoder".
    Shapes: multiplies view.tempo_B by factors (B,).
    """

    identity = {"max_factor": 1.0}
    order = 10

    max_factor: Annotated[
        float,
        Field(ge=1, le=2, description="the factor is drawn log-uniformly from 1 / max_factor to max_factor"),
        Search(1.0, 1.5),
    ] = 1.25

    def draw(self, view: AudioView, rng: BatchRng) -> AudioView:
        if self.max_factor == 1:
            return view
        reach = float(np.log(self.max_factor))
        return view.stretched(np.exp(rng.uniform(-reach, reach)))
