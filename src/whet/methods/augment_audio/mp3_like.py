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
    """Do to some audio clips what strong compression does: cut the highs and round what is left, band by band.

    Use when: audio clips in use come compressed and those at hand do not.
    Do not use when: the highs tell the classes apart.
    Source: Brandenburg 1999, "MP3 and AAC explained"; as augmentation in Mauch and Ewert 2013, "The audio degradation
    toolbox and its application to robustness evaluation".
    Deviates: a lapped transform with MP3's power law and bands of equal width; no model of hearing, no real codec.
    Shapes: adds decibels (B, F) to view.response_BF, draws bits (B,) into view.codecs.
    """

    identity = {"prob": 0.0}
    order = 70

    prob: Annotated[float, Field(ge=0, le=1, description="share of audio clips changed"), Search(0.0, 1.0)] = 0.3
    min_bits: Annotated[
        float,
        Field(ge=1, le=12, description="the bits a band is rounded to are uniform in this … 8 (or this)"),
        Search(2, 6),
    ] = 3.0
    min_cutoff_fraction: Annotated[
        float, Field(gt=0.1, le=1, description="the highs end at a uniform this … 1 of the highest frequency")
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
