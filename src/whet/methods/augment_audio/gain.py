from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.audio_view import AudioView
from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws


class Gain(Method, Draws, family="augment", tasks={"audio-classification"}):
    """Make each audio clip louder or quieter by a random number of decibels.

    Use when: distance and recording level differ between audio clips.
    Do not use when: the level distinguishes the classes.
    Source: Schlueter and Grill 2015, "Exploring data augmentation for improved singing voice detection with neural networks".
    Shapes: multiplies view.gain_B by factors (B,).
    """

    identity = {"max_db": 0.0}
    order = 30

    max_db: Annotated[
        float,
        Field(ge=0, le=40, description="the change is drawn uniformly from -max_db to max_db, in decibels"),
        Search(0.0, 18.0),
    ] = 6.0

    def draw(self, view: AudioView, rng: BatchRng) -> AudioView:
        return view.amplified(10 ** (rng.uniform(-self.max_db, self.max_db) / 20)) if self.max_db else view
