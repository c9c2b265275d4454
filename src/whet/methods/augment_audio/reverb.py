from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.audio_view import AudioView
from whet.core.audio_view import Reverb as Room
from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.methods.augment_audio.folder import audio_below


class Reverb(Method, Draws, family="augment", tasks={"audio-classification"}):
    """Put some audio clips into a random room: synthetic, or of a folder of impulse responses.

    Use when: audio clips were recorded close by and will be heard from across a room.
    Do not use when: they already come from such rooms.
    Source: Ko, Peddinti, Povey, Seltzer, Khudanpur 2017, "A study on data augmentation of reverberant speech"; the
    decaying noise of Moorer 1979, "About this reverberation business".
    Deviates: the level stays what it was; a recorded response is cut before its strongest sample, so that nothing is delayed.
    Shapes: draws seconds and decibels (B,) into view.reverbs.
    """

    identity = {"prob": 0.0}
    order = 36

    prob: Annotated[float, Field(ge=0, le=1, description="share of audio clips changed"), Search(0.0, 1.0)] = 0.5
    max_seconds: Annotated[
        float,
        Field(ge=0.1, le=10, description="the time to fall by 60 dB is log-uniform in 0.1 … this"),
        Search(0.2, 2.0),
    ] = 0.8
    max_wet_db: Annotated[
        float,
        Field(
            ge=-15, le=20, description="the tail's energy over the direct sound's is uniform in -15 … this, decibels"
        ),
    ] = 0.0
    folder: Annotated[str, Field(description="impulse responses to use instead of synthetic rooms")] = ""

    def draw(self, view: AudioView, rng: BatchRng) -> AudioView:
        if self.prob == 0:
            return view
        seconds_B = np.exp(rng.uniform(np.log(0.1), np.log(self.max_seconds))) * rng.bernoulli(self.prob)
        files = audio_below(self.name, self.folder) if self.folder else ()
        return view.reverberated(Room(seconds_B, rng.uniform(-15, self.max_wet_db), rng.integers(2**32), files))
