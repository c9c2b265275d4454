from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from whet.core.audio_view import AudioNoise, AudioView
from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws


class AddNoise(Method, Draws, family="augment", tasks={"audio-classification"}):
    """Add noise of one colour to some audio clips, at a random signal-to-noise ratio.

    Use when: recordings will be noisier than those at hand; a regulariser for small data.
    Do not use when: faint background tells the classes apart.
    Source: Schlueter and Grill 2015, "Exploring data augmentation for improved singing voice detection with neural
    networks"; Jordal 2019, audiomentations, AddGaussianSNR and AddColorNoise.
    Deviates: the level of an audio clip is that of what is heard of it, padding left aside; noise is cut from a bank of a
    million numbers.
    Shapes: draws ratios (B,) in decibels into view.noises.
    """

    identity = {"prob": 0.0}
    order = 40

    prob: Annotated[float, Field(ge=0, le=1, description="share of audio clips changed"), Search(0.0, 1.0)] = 0.5
    min_snr_db: Annotated[
        float, Field(ge=-20, le=80, description="the least ratio of the audio clip's level to the noise's")
    ] = 5.0
    max_snr_db: Annotated[float, Field(ge=-20, le=80, description="the greatest; uniform in between, in decibels")] = (
        30.0
    )
    colour: Annotated[
        Literal["white", "pink", "brown"], Field(description="the noise's power falls by 0, 3 or 6 dB an octave")
    ] = "white"

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_snr_db > self.max_snr_db:
            raise ValueError(f"min_snr_db {self.min_snr_db} must not be above max_snr_db {self.max_snr_db}")
        return self

    def draw(self, view: AudioView, rng: BatchRng) -> AudioView:
        if self.prob == 0:
            return view
        snr_B = np.where(rng.bernoulli(self.prob), rng.uniform(self.min_snr_db, self.max_snr_db), np.inf)
        return view.noised(AudioNoise(self.colour, snr_B, rng.integers(2**32)))
