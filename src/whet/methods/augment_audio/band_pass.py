from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.audio_view import AudioView
from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws


class BandPass(Method, Draws, family="augment", tasks={"audio-classification"}):
    """Apply a band-pass filter with random corner frequencies to some audio clips.

    Use when: microphones differ, or sound passes through telephones or walls.
    Do not use when: the classes differ only in low or high frequencies.
    Source: Butterworth 1930, "On the theory of filter amplifiers"; as augmentation in Jordal 2019, audiomentations, BandPassFilter.
    Deviates: the filter has zero phase, so it causes no delay and changes only the level of each frequency.
    Shapes: adds decibels (B, F) of a fourth-order filter to view.response_BF.
    """

    identity = {"prob": 0.0}
    order = 32

    prob: Annotated[
        float, Field(ge=0, le=1, description="probability that an audio clip is changed"), Search(0.0, 1.0)
    ] = 0.5
    max_low_hz: Annotated[
        float,
        Field(gt=20, le=2000, description="the lower corner is drawn log-uniformly from 20 Hz to max_low_hz"),
        Search(50.0, 800.0),
    ] = 300.0
    min_high_fraction: Annotated[
        float,
        Field(
            gt=0.2,
            le=1,
            description="the upper corner is drawn log-uniformly from this fraction of the highest frequency to all of it",
        ),
    ] = 0.4

    def draw(self, view: AudioView, rng: BatchRng) -> AudioView:
        if self.prob == 0:
            return view
        low_B = np.exp(rng.uniform(np.log(20), np.log(self.max_low_hz)))
        high_B = np.exp(rng.uniform(np.log(self.min_high_fraction), 0)) * view.rate / 2
        return view.filtered(passed(view.frequencies(), low_B, high_B) * rng.bernoulli(self.prob)[:, None])


def passed(hertz_F: np.ndarray, low_B: np.ndarray, high_B: np.ndarray) -> np.ndarray:
    """Response of two fourth-order Butterworth filters, decibels (B, F), at least -80. Each is -3 dB at its corner."""
    with np.errstate(divide="ignore"):
        fall_BF = (low_B[:, None] / hertz_F) ** 8
    rise_BF = (hertz_F / high_B[:, None]) ** 8
    return np.maximum(-80, -10 * np.log10(1 + fall_BF) - 10 * np.log10(1 + rise_BF))
