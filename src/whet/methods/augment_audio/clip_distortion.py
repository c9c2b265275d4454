from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.audio_view import AudioCodec, AudioView
from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws


class ClipDistortion(Method, Draws, family="augment", tasks={"audio-classification"}):
    """Cut off the loudest samples of some audio clips, as an overdriven microphone does.

    Use when: recordings may be overdriven.
    Do not use when: distortion itself is to be recognised.
    Source: Mauch and Ewert 2013, "The audio degradation toolbox and its application to robustness evaluation".
    Shapes: draws the share of samples (B,) into view.codecs.
    """

    identity = {"prob": 0.0}
    order = 60

    prob: Annotated[float, Field(ge=0, le=1, description="share of audio clips changed"), Search(0.0, 1.0)] = 0.3
    max_share: Annotated[
        float, Field(gt=0, le=0.5, description="the share of samples cut is uniform in 0 … this"), Search(0.01, 0.3)
    ] = 0.1

    def draw(self, view: AudioView, rng: BatchRng) -> AudioView:
        if self.prob == 0:
            return view
        return view.coded(AudioCodec("clip", rng.uniform(0, self.max_share) * rng.bernoulli(self.prob)))
