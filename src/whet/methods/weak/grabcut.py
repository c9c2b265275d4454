from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from whet.core.masks import IdMap, Kind, Layer, Masks
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import MakesMasks, MaskMaker
from whet.methods.weak.boxes import InBox, by_box
from whet.methods.weak.cut import cut

_MARGINS = (0.15, 0.5)  # of the box's sides: how much of the surroundings shows the colours of the background
_SIDE = 128  # pixels
_LEAST_SIDE = 4  # pixels: in smaller boxes there are no colours to tell apart


class Grabcut(Method, MakesMasks, family="weak", tasks={"semantic-segmentation", "instance-segmentation"}):
    """Find the object in each box by its colours and edges, and train on the found masks.

    Use when: objects were annotated with boxes, and their colours differ from what is around them.
    Do not use when: objects have the colours of their background, or fill their boxes anyway. Use box_fill then.
    Source: Rother, Kolmogorov, Blake 2004, "GrabCut"; Khoreva et al. 2017, arXiv:1603.07485 (masks from boxes for training, with
    unsure pixels ignored).
    Deviates: OpenCV's GrabCut, twice, with more and with less of the surroundings; where the two differ, pixels are ignored.
    Shapes: a pixel belongs to the object of a box where both find it, to the background where neither does. A box in which less
    than `least` of the pixels are found is an object as a whole.
    """

    exceptions = {"identity": "it has no strength; without boxes it changes nothing"}
    conflicts = frozenset({"box_fill"})
    makes_of: ClassVar[frozenset[Kind]] = frozenset({"box"})

    iterations: Annotated[int, Field(ge=1, le=20, description="rounds of colour models and cuts"), Search(2, 8)] = 3
    least: Annotated[
        float,
        Field(ge=0, lt=1, description="share of the box that the object must cover; else the whole box is the object"),
        Search(0.1, 0.5),
    ] = 0.2

    def mask_maker(self, net: Any, classes: tuple[str, ...]) -> MaskMaker:
        return self._masks

    def _masks(self, pixels_HWC: np.ndarray, masks: Masks) -> Mapping[str, IdMap]:
        return {"grabcut": by_box(masks, lambda layer: self._inside(pixels_HWC, layer))}

    def _inside(self, pixels_HWC: np.ndarray, layer: Layer) -> InBox:
        first, second = (object_in(pixels_HWC, layer, margin, self.iterations) for margin in _MARGINS)
        sure = first & second
        if sure.mean() < self.least:
            return InBox(np.ones(layer.mask.shape, bool))
        return InBox(sure, first ^ second)


def object_in(pixels_HWC: np.ndarray, layer: Layer, margin: float, iterations: int) -> np.ndarray:
    """The pixels of the object in a box, bool (h, w). margin: how far beyond the box the background is looked at, as a share of its
    sides. All pixels where there is no background to compare with."""
    height, width = layer.mask.shape
    whole = np.ones((height, width), bool)
    y, x = max(1, round(margin * height)), max(1, round(margin * width))
    top, left = max(0, layer.top - y), max(0, layer.left - x)
    around = pixels_HWC[top : layer.top + height + y, left : layer.left + width + x]
    if min(height, width) < _LEAST_SIDE or around.shape[:2] == (height, width):
        return whole
    inside = np.zeros(around.shape[:2], bool)
    rows, columns = (
        slice(start, start + side) for start, side in ((layer.top - top, height), (layer.left - left, width))
    )
    inside[rows, columns] = True
    found = cut(around, inside, ~inside, iterations, _SIDE)
    return whole if found is None else found[rows, columns]
