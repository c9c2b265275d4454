from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.audio_view import AudioCodec, AudioView
from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws


class ClipDistortion(Method, Draws, family="augment", tasks={"audio-classification"}):
    """Clip the loudest samples of some audio clips, as an overdriven microphone does.

    Use when: recordings may be overdriven.
    Do not use when: distortion distinguishes the classes.
    Source: Mauch and Ewert 2013, "The audio degradation toolbox and its application to robustness evaluation".
    Shapes: appends the fractions of clipped samples (B,) to view.codecs.
    """

    identity = {"prob": 0.0}
    order = 60

    prob: Annotated[
        float, Field(ge=0, le=1, description="probability that an audio clip is changed"), Search(0.0, 1.0)
    ] = 0.3
    max_share: Annotated[
        float,
        Field(gt=0, le=0.5, description="the fraction of clipped samples is drawn uniformly from 0 to max_share"),
        Search(0.01, 0.3),
    ] = 0.1

    def draw(self, view: AudioView, rng: BatchRng) -> AudioView:
        if self.prob == 0:
            return view
        return view.coded(AudioCodec("clip", rng.uniform(0, self.max_share) * rng.bernoulli(self.prob)))
