from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import ImageView

# RGB -> YIQ (NTSC): one row for brightness and two for chroma; hue is an angle in the chroma plane.
_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_RGB = np.linalg.inv(_YIQ)


class Hue(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Rotate the hue of all colours by a random angle.

    Use when: white balance differs between images, or the class does not depend on colour.
    Do not use when: colour distinguishes the classes (for large shifts). It has no effect on grey images.
    Source: Howard 2013, arXiv:1312.5402 (as augmentation); the rotation is in the chroma plane of YIQ.
    Deviates: torchvision and Albumentations rotate the H of HSV, which is not linear. This method keeps brightness and is one
    matrix.
    Shapes: updates view.colour (B, 3, 7).
    """

    identity = {"max_shift": 0.0}
    order = 33

    max_shift: Annotated[
        float,
        Field(
            ge=0,
            le=0.5,
            description="the shift is drawn uniformly from -max_shift to max_shift, as a fraction of the colour circle",
        ),
        Search(0.01, 0.2),
    ] = 0.1

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        if self.max_shift == 0:
            return view
        return hue_shifted(view, rng.uniform(-self.max_shift, self.max_shift))


def hue_shifted(view: ImageView, shift_B: np.ndarray) -> ImageView:
    """Keep brightness and rotate the two chroma components by 2 pi shift."""
    angle = 2 * np.pi * shift_B
    turn = np.tile(np.eye(3), (len(view), 1, 1))
    turn[:, 1, 1] = turn[:, 2, 2] = np.cos(angle)
    turn[:, 1, 2], turn[:, 2, 1] = -np.sin(angle), np.sin(angle)
    return view.coloured(_RGB @ turn @ _YIQ)
