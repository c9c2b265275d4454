from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.view import ImageView
from whet.methods.augment_image.brightness import brightened
from whet.methods.augment_image.contrast import contrasted
from whet.methods.augment_image.hue import hue_shifted
from whet.methods.augment_image.saturation import saturated


class ColorJitter(Method, Draws, family="augment", tasks={"image-classification", "semantic-segmentation"}):
    """Change brightness, contrast, saturation and hue at once, each by a random amount.

    Use when: all four colour changes are needed in one line. It costs no more than any one of the four methods.
    Do not use when: one of the four methods is in the recipe, or colour distinguishes the classes.
    Source: Howard 2013, arXiv:1312.5402; as in torchvision's ColorJitter.
    Deviates: the order of the four is fixed, while torchvision shuffles it. Values are not clipped in between.
    Shapes: updates view.colour (B, 3, 7).
    """

    identity = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
    order = 34
    conflicts = frozenset({"brightness", "contrast", "saturation", "hue"})

    brightness: Annotated[
        float, Field(ge=0, le=1, description="as max_change of the method brightness"), Search(0.0, 0.6)
    ] = 0.3
    contrast: Annotated[
        float, Field(ge=0, le=1, description="as max_change of the method contrast"), Search(0.0, 0.6)
    ] = 0.3
    saturation: Annotated[
        float, Field(ge=0, le=1, description="as max_change of the method saturation"), Search(0.0, 0.8)
    ] = 0.3
    hue: Annotated[float, Field(ge=0, le=0.5, description="as max_shift of the method hue"), Search(0.0, 0.2)] = 0.1

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        around = [rng.uniform(1 - reach, 1 + reach) for reach in (self.brightness, self.contrast, self.saturation)]
        shift_B = rng.uniform(-self.hue, self.hue)
        for change, factor_B, reach in zip(
            (brightened, contrasted, saturated), around, (self.brightness, self.contrast, self.saturation)
        ):
            view = change(view, factor_B) if reach else view
        return hue_shifted(view, shift_B) if self.hue else view
