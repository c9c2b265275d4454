from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.audio_view import AudioView
from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws


class Equalizer(Method, Draws, family="augment", tasks={"audio-classification"}):
    """Raise and lower broad frequency bands of each audio clip at random.

    Use when: microphones, loudspeakers or rooms differ between recordings.
    Do not use when: the balance of the frequency bands distinguishes the classes.
    Source: Schlueter and Grill 2015, "Exploring data augmentation for improved singing voice detection with neural networks"
    (random frequency filters).
    Deviates: the response is a smooth curve through one random point per octave instead of one random peak.
    Shapes: adds decibels (B, F) to view.response_BF.
    """

    identity = {"max_db": 0.0}
    order = 32

    max_db: Annotated[
        float,
        Field(
            ge=0, le=24, description="the change of each octave is drawn uniformly from -max_db to max_db, in decibels"
        ),
        Search(0.0, 12.0),
    ] = 6.0

    def draw(self, view: AudioView, rng: BatchRng) -> AudioView:
        if self.max_db == 0:
            return view
        hertz_F = view.frequencies()
        octaves = max(2, int(np.log2(hertz_F[-1] / 60)) + 1)
        octave_F = np.clip(np.log2(np.maximum(hertz_F, 1) / 60), 0, octaves - 1)  # in octaves above 60 Hz
        first_F = np.minimum(octave_F.astype(np.int64), octaves - 2)
        share_F = 0.5 - 0.5 * np.cos(np.pi * (octave_F - first_F))
        point_BP = rng.uniform(-self.max_db, self.max_db, (octaves,))
        return view.filtered(point_BP[:, first_F] * (1 - share_F) + point_BP[:, first_F + 1] * share_F)
