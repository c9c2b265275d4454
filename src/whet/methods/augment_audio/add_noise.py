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
    """Add white, pink or brown noise to some audio clips at a random signal-to-noise ratio (SNR).

    Use when: audio at prediction time is noisier than the training data; also as regularisation for small data sets.
    Do not use when: faint background sound distinguishes the classes.
    Source: Schlueter and Grill 2015, "Exploring data augmentation for improved singing voice detection with neural networks";
    Jordal 2019, audiomentations, AddGaussianSNR and AddColorNoise.
    Deviates: the signal level is computed without padding. Noise is cut from a bank of a million numbers.
    Shapes: appends SNRs (B,) in decibels to view.noises.
    """

    identity = {"prob": 0.0}
    order = 40

    prob: Annotated[
        float, Field(ge=0, le=1, description="probability that an audio clip is changed"), Search(0.0, 1.0)
    ] = 0.5
    min_snr_db: Annotated[float, Field(ge=-20, le=80, description="lowest signal-to-noise ratio, in decibels")] = 5.0
    max_snr_db: Annotated[
        float,
        Field(ge=-20, le=80, description="highest signal-to-noise ratio, in decibels; drawn uniformly in between"),
    ] = 30.0
    colour: Annotated[
        Literal["white", "pink", "brown"],
        Field(description="colour of the noise: its power falls by 0 (white), 3 (pink) or 6 dB (brown) per octave"),
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
