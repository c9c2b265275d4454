from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.audio_view import AudioView
from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws


class Polarity(Method, Draws, family="augment", tasks={"audio-classification"}):
    """Invert the sign of the waveform of some audio clips.

    Use when: the network takes waveforms, or audio clips are mixed with each other or with noise. It does no harm.
    Do not use when: the network takes spectrograms and nothing is mixed. Spectrograms do not change.
    Source: Jordal 2019, audiomentations, PolarityInversion.
    Shapes: multiplies view.gain_B by factors (B,) of 1 and -1.
    """

    identity = {"prob": 0.0}
    order = 30

    prob: Annotated[
        float, Field(ge=0, le=1, description="probability that an audio clip is inverted"), Search(0.0, 0.5)
    ] = 0.5

    def draw(self, view: AudioView, rng: BatchRng) -> AudioView:
        return view.amplified(np.where(rng.bernoulli(self.prob), -1.0, 1.0)) if self.prob else view
