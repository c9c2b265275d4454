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
    """Change brightness, contrast, saturation and hue at once, each by a random amount: the four methods as one.

    Use when: one wants the usual preset in one line; it costs no more than any of the four.
    Do not use when: one of the four stands in the recipe already, or colour tells the classes apart.
    Source: Howard 2013, arXiv:1312.5402; as torchvision's ColorJitter of the same name.
    Deviates: the four always act in this order, where torchvision shuffles them; nothing is clipped in between.
    Shapes: draws into view.colour (B, 3, 7).
    """

    identity = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
    order = 34
    conflicts = frozenset({"brightness", "contrast", "saturation", "hue"})

    brightness: Annotated[float, Field(ge=0, le=1, description="see the method of that name"), Search(0.0, 0.6)] = 0.3
    contrast: Annotated[float, Field(ge=0, le=1, description="see the method of that name"), Search(0.0, 0.6)] = 0.3
    saturation: Annotated[float, Field(ge=0, le=1, description="see the method of that name"), Search(0.0, 0.8)] = 0.3
    hue: Annotated[float, Field(ge=0, le=0.5, description="see the method of that name"), Search(0.0, 0.2)] = 0.1

    def draw(self, view: ImageView, rng: BatchRng) -> ImageView:
        around = [rng.uniform(1 - reach, 1 + reach) for reach in (self.brightness, self.contrast, self.saturation)]
        shift_B = rng.uniform(-self.hue, self.hue)
        for change, factor_B, reach in zip(
            (brightened, contrasted, saturated), around, (self.brightness, self.contrast, self.saturation)
        ):
            view = change(view, factor_B) if reach else view
        return hue_shifted(view, shift_B) if self.hue else view
