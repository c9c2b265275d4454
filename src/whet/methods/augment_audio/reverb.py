from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.audio_view import AudioView
from whet.core.audio_view import Reverb as ReverbDraw
from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.methods.augment_audio.folder import audio_below


class Reverb(Method, Draws, family="augment", tasks={"audio-classification"}):
    """Add reverberation to some audio clips, synthetic or from a folder of impulse responses.

    Use when: the training data was recorded close to the microphone, and audio at prediction time comes from a distance.
    Do not use when: the training data already contains such reverberation.
    Source: Ko, Peddinti, Povey, Seltzer, Khudanpur 2017, "A study on data augmentation of reverberant speech"; decaying noise after
    Moorer 1979, "About this reverberation business".
    Deviates: the level of the clip does not change. A recorded response is cut before its strongest sample, so that it causes no
    delay.
    Shapes: appends seconds and decibels (B,) to view.reverbs.
    """

    identity = {"prob": 0.0}
    order = 36

    prob: Annotated[
        float, Field(ge=0, le=1, description="probability that an audio clip is changed"), Search(0.0, 1.0)
    ] = 0.5
    max_seconds: Annotated[
        float,
        Field(
            ge=0.1,
            le=10,
            description="the reverberation time (decay by 60 dB) is drawn log-uniformly from 0.1 s to max_seconds",
        ),
        Search(0.2, 2.0),
    ] = 0.8
    max_wet_db: Annotated[
        float,
        Field(
            ge=-15,
            le=20,
            description="the ratio of reverberant to direct energy is drawn uniformly from -15 to max_wet_db, in decibels",
        ),
    ] = 0.0
    folder: Annotated[str, Field(description="folder of impulse responses to use instead of synthetic ones")] = ""

    def draw(self, view: AudioView, rng: BatchRng) -> AudioView:
        if self.prob == 0:
            return view
        seconds_B = np.exp(rng.uniform(np.log(0.1), np.log(self.max_seconds))) * rng.bernoulli(self.prob)
        files = audio_below(self.name, self.folder) if self.folder else ()
        return view.reverberated(ReverbDraw(seconds_B, rng.uniform(-15, self.max_wet_db), rng.integers(2**32), files))
