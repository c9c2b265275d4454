from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.audio_view import AudioCodec, AudioView
from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws


class Mp3Like(Method, Draws, family="augment", tasks={"audio-classification"}):
    """Simulate strong lossy compression of some audio clips: remove high frequencies and quantise each band.

    Use when: audio at prediction time is compressed and the training data is not.
    Do not use when: high frequencies distinguish the classes.
    Source: Brandenburg 1999, "MP3 and AAC explained"; as augmentation in Mauch and Ewert 2013, "The audio degradation toolbox and
    its application to robustness evaluation".
    Deviates: uses a lapped transform with MP3's power law and bands of equal width. It has no psychoacoustic model and runs no
    codec.
    Shapes: adds decibels (B, F) to view.response_BF and appends bits (B,) to view.codecs.
    """

    identity = {"prob": 0.0}
    order = 70

    prob: Annotated[
        float, Field(ge=0, le=1, description="probability that an audio clip is changed"), Search(0.0, 1.0)
    ] = 0.3
    min_bits: Annotated[
        float,
        Field(
            ge=1,
            le=12,
            description="the number of bits per band is drawn uniformly from min_bits to 8 (to min_bits if it is above 8)",
        ),
        Search(2, 6),
    ] = 3.0
    min_cutoff_fraction: Annotated[
        float,
        Field(
            gt=0.1,
            le=1,
            description="the cutoff is drawn uniformly from min_cutoff_fraction to 1, as a fraction of the highest frequency",
        ),
    ] = 0.5

    def draw(self, view: AudioView, rng: BatchRng) -> AudioView:
        if self.prob == 0:
            return view
        chosen_B = rng.bernoulli(self.prob)
        bits_B = rng.uniform(self.min_bits, max(8.0, self.min_bits))
        cutoff_B = rng.uniform(self.min_cutoff_fraction, 1) * view.rate / 2
        steep_BF = (view.frequencies() / cutoff_B[:, None]) ** 40
        cut_BF = np.maximum(-80, -10 * np.log10(1 + steep_BF)) * chosen_B[:, None]
        return view.filtered(cut_BF).coded(AudioCodec("quantise", bits_B * chosen_B))
