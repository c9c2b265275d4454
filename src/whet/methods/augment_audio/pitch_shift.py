from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.audio_view import AudioView
from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws


class PitchShift(Method, Draws, family="augment", tasks={"audio-classification"}):
    """Raise or lower the pitch of each audio clip by a random number of semitones without changing its tempo.

    Use when: voices, engines or birds of one class have different pitches.
    Do not use when: pitch distinguishes the classes.
    Source: Salamon and Bello 2017, arXiv:1608.04363.
    Deviates: semitones are drawn from a range, not from four values. With time_stretch and speed in one recipe, all three cost one
    stretching and one resampling in total.
    Shapes: multiplies view.tempo_B and view.resample_B by factors (B,).
    """

    identity = {"max_semitones": 0.0}
    order = 10

    max_semitones: Annotated[
        float,
        Field(ge=0, le=12, description="the change is drawn uniformly from -max_semitones to max_semitones"),
        Search(0.0, 4.0),
    ] = 2.0

    def draw(self, view: AudioView, rng: BatchRng) -> AudioView:
        if self.max_semitones == 0:
            return view
        return view.pitched(2 ** (rng.uniform(-self.max_semitones, self.max_semitones) / 12))
