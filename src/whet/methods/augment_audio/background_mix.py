from __future__ import annotations

from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from whet.core.audio_view import AudioNoise, AudioView
from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.methods.augment_audio.folder import audio_below


class BackgroundMix(Method, Draws, family="augment", tasks={"audio-classification"}):
    """Add a random segment of an audio file from a folder to some audio clips, at a random signal-to-noise ratio (SNR).

    Use when: the background sound at prediction time is known and some minutes of it can be recorded.
    Do not use when: the folder contains audio clips of the classes.
    Source: Salamon and Bello 2017, arXiv:1608.04363; Jordal 2019, audiomentations, AddBackgroundNoise.
    Deviates: only the first minute of each file is used; shorter files are repeated.
    Shapes: appends SNRs (B,) in decibels to view.noises.
    """

    identity = {"folder": ""}
    order = 42

    folder: Annotated[str, Field(description="folder of background audio files; without it no audio is added")] = ""
    prob: Annotated[
        float, Field(ge=0, le=1, description="probability that an audio clip is changed"), Search(0.0, 1.0)
    ] = 0.5
    min_snr_db: Annotated[float, Field(ge=-20, le=80, description="lowest signal-to-noise ratio, in decibels")] = 5.0
    max_snr_db: Annotated[
        float,
        Field(ge=-20, le=80, description="highest signal-to-noise ratio, in decibels; drawn uniformly in between"),
    ] = 25.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_snr_db > self.max_snr_db:
            raise ValueError(f"min_snr_db {self.min_snr_db} must not be above max_snr_db {self.max_snr_db}")
        return self

    def draw(self, view: AudioView, rng: BatchRng) -> AudioView:
        if not self.folder or self.prob == 0:
            return view
        snr_B = np.where(rng.bernoulli(self.prob), rng.uniform(self.min_snr_db, self.max_snr_db), np.inf)
        return view.noised(AudioNoise("files", snr_B, rng.integers(2**32), audio_below(self.name, self.folder)))
