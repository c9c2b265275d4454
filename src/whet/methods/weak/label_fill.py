from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from whet.core.masks import IGNORE, Kind, Masks
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import MakesMasks, MaskMaker


class LabelFill(Method, MakesMasks, family="weak", tasks={"semantic-segmentation"}):
    """Train on the classes of images as if the object filled the image, or an ellipse in its middle.

    Use when: a baseline for cam_to_mask is wanted, or every photo shows one object that fills it.
    Do not use when: images show several objects, or small ones.
    Source: Wei et al. 2016, arXiv:1509.03150 (simple to complex: one large object in the middle first).
    Shapes: the map of an image has its class inside the shape and background outside; of several classes it is not known which,
    so the pixels inside are ignored.
    """

    exceptions = {"identity": "it has no strength; without classes of images it changes nothing"}
    conflicts = frozenset({"cam_to_mask"})
    makes_of: ClassVar[frozenset[Kind]] = frozenset({"label"})

    shape: Annotated[
        Literal["ellipse", "image"],
        Field(description="what the object fills: an ellipse in the middle, or the image"),
        Search(choices=("ellipse", "image")),
    ] = "ellipse"
    size: Annotated[
        float, Field(gt=0, le=1, description="axes of the ellipse, as a share of the image's sides"), Search(0.5, 1.0)
    ] = 0.8

    def mask_maker(self, net: Any, classes: tuple[str, ...]) -> MaskMaker:
        return self._masks

    def _masks(self, pixels_HWC: np.ndarray, masks: Masks) -> Mapping[str, np.ndarray]:
        numbers = {shape.class_number for shape in masks.shapes}
        height, width = masks.size
        inside_HW = np.ones((height, width), bool)
        if self.shape == "ellipse":
            y, x = ((2 * np.arange(side) + 1) / side - 1 for side in (height, width))
            inside_HW = y[:, None] ** 2 + x**2 <= self.size**2
        value = numbers.pop() if len(numbers) == 1 else IGNORE
        return {self.shape: np.where(inside_HW, value, 0).astype(np.uint8)}
