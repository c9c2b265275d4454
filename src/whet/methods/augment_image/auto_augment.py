from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import ImageView
from whet.methods.augment_image.policy import OPERATIONS, applied, strength

NAMES = tuple(OPERATIONS)

# The paper's 25 sub-policies per data set: two operations, each with its probability in tenths and its level of 9 (- for none).
POLICIES = {
    "imagenet": """
        posterize 4 8, rotate 6 9         | solarize 6 5, autocontrast 6 -    | equalize 8 -, equalize 6 -
        posterize 6 7, posterize 6 6      | equalize 4 -, solarize 2 4        | equalize 4 -, rotate 8 8
        solarize 6 3, equalize 6 -        | posterize 8 5, equalize 10 -      | rotate 2 3, solarize 6 8
        equalize 6 -, posterize 4 6       | rotate 8 8, saturation 4 0        | rotate 4 9, equalize 6 -
        equalize 0 -, equalize 8 -        | invert 6 -, equalize 10 -         | saturation 6 4, contrast 10 8
        rotate 8 8, saturation 10 2       | saturation 8 8, solarize 8 7      | sharpen 4 7, invert 6 -
        shear_x 6 5, equalize 10 -        | saturation 4 0, equalize 6 -      | equalize 4 -, solarize 2 4
        solarize 6 5, autocontrast 6 -    | invert 6 -, equalize 10 -         | saturation 6 4, contrast 10 8
        equalize 8 -, equalize 6 -""",
    "cifar10": """
        invert 1 -, contrast 2 6          | rotate 7 2, translate_x 3 9       | sharpen 8 1, sharpen 9 3
        shear_y 5 8, translate_y 7 9      | autocontrast 5 -, equalize 9 -    | shear_y 2 7, posterize 3 7
        saturation 4 3, brightness 6 7    | sharpen 3 9, brightness 7 9       | equalize 6 -, equalize 5 -
        contrast 6 7, sharpen 6 5         | saturation 7 7, translate_x 5 8   | equalize 3 -, autocontrast 4 -
        translate_y 4 3, sharpen 2 6      | brightness 9 6, saturation 2 8    | solarize 5 2, invert 0 -
        equalize 2 -, autocontrast 6 -    | equalize 2 -, equalize 6 -        | saturation 9 9, equalize 6 -
        autocontrast 8 -, solarize 2 8    | brightness 1 3, saturation 7 0    | solarize 4 5, autocontrast 9 -
        translate_y 9 9, translate_y 7 9  | autocontrast 9 -, solarize 8 3    | equalize 8 -, invert 1 -
        translate_y 7 9, autocontrast 9 -""",
    "svhn": """
        shear_x 9 4, invert 2 -           | shear_y 9 8, invert 7 -           | equalize 6 -, solarize 6 6
        invert 9 -, equalize 6 -          | equalize 6 -, rotate 9 3          | shear_x 9 4, autocontrast 8 -
        shear_y 9 8, invert 4 -           | shear_y 9 5, solarize 2 6         | invert 9 -, autocontrast 8 -
        equalize 6 -, rotate 9 3          | shear_x 9 4, solarize 3 3         | shear_y 8 8, invert 7 -
        equalize 9 -, translate_y 6 6     | invert 9 -, equalize 6 -          | contrast 3 3, rotate 8 4
        invert 8 -, translate_y 0 2       | shear_y 7 6, solarize 4 8         | invert 6 -, rotate 8 4
        shear_y 3 7, translate_x 9 3      | shear_x 1 6, invert 6 -           | solarize 7 2, translate_y 6 7
        shear_y 8 4, invert 8 -           | shear_x 7 9, translate_y 8 3      | shear_y 8 5, autocontrast 7 -
        shear_x 7 2, invert 1 -""",
}


def table(policy: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (operation number, probability, level 0 … 1) of the two steps of the 25 sub-policies, (25, 2) each."""
    rows = [
        [step.split() for step in entry.split(",")]
        for line in POLICIES[policy].strip().split("\n")
        for entry in line.split("|")
    ]
    number = np.array([[NAMES.index(name) for name, _, _ in row] for row in rows])
    chance = np.array([[int(tenths) / 10 for _, tenths, _ in row] for row in rows])
    level = np.array([[0.0 if bin_ == "-" else int(bin_) / 9 for _, _, bin_ in row] for row in rows])
    return number, chance, level


class AutoAugment(Method, Draws, family="augment", tasks={"image-classification"}):
    """Apply one of 25 pairs of operations to each image, found by a search on a large data set.

    Use when: the data resembles the data set of the search: photos (imagenet), small photos (cifar10), house numbers (svhn).
    Do not use when: the data differs from all three; trivial_augment is then the safer choice.
    Source: Cubuk et al. 2019, arXiv:1805.09501; tables and scales as in torchvision.
    Deviates: the operations of a pair are rendered in whet's fixed order. Rotations and shears are about the image centre and
    reflect the border.
    Shapes: updates view.warp, colour, tones and filters.
    """

    identity = {"prob": 0.0}
    order = 25

    policy: Annotated[
        Literal["imagenet", "cifar10", "svhn"], Field(description="data set of the policy search"),
        Search(choices=("imagenet", "cifar10", "svhn")),
    ] = "imagenet"  # fmt: skip
    prob: Annotated[
        float, Field(ge=0, le=1, description="probability that an image is changed; 1 in the paper"), Search(0.2, 1.0)
    ] = 1.0

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        number, chance, level = table(self.policy)
        acts_B, pair_B = rng.bernoulli(self.prob), rng.integers(len(number))
        if self.prob == 0:
            return view
        for step in range(2):
            happens_B = acts_B & (rng.uniform() < chance[pair_B, step])
            sign_B = rng.sign()
            chosen_B = np.where(happens_B, number[pair_B, step], NAMES.index("identity"))
            strengths = [strength(name, level[pair_B, step], sign_B) for name in NAMES]
            view = applied(view, NAMES, chosen_B, np.choose(chosen_B, strengths))
        return view
