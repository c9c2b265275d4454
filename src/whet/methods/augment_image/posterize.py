from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import ImageView, Tone


class Posterize(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Reduce every colour value to a random number of its highest bits.

    Use when: images come from low-quality cameras; also as an operation of a policy.
    Do not use when: small differences in colour distinguish the classes.
    Source: Cubuk et al. 2019, arXiv:1805.09501; the definition is that of Pillow's ImageOps.posterize.
    Shapes: appends tables (B, 3, 256) to view.tones.
    """

    identity = {"min_bits": 8}
    order = 42

    min_bits: Annotated[
        int, Field(ge=1, le=8, description="the number of bits is drawn uniformly from min_bits to 8"), Search(2, 8)
    ] = 4

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        bits_B = self.min_bits + rng.integers(9 - self.min_bits)
        return posterized(view, bits_B) if self.min_bits < 8 else view


def posterized(view: ImageView, bits_B: np.ndarray) -> ImageView:
    """Round values down to multiples of 2^(8 - bits); 8 bits leave the image unchanged."""
    step_B11 = (2 ** (8 - bits_B))[:, None, None]
    values = np.broadcast_to(np.arange(256), (len(view), 1, 256))
    return view.toned(Tone(where_B=bits_B < 8, table_BC256=(values // step_B11 * step_B11).astype(float)))
