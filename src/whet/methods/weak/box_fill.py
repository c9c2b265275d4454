from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from whet.core.masks import IdMap, Kind, Masks
from whet.core.method import Method
from whet.core.stages import MakesMasks, MaskMaker
from whet.methods.weak.boxes import InBox, by_box


class BoxFill(Method, MakesMasks, family="weak", tasks={"semantic-segmentation", "instance-segmentation"}):
    """Train on boxes as if they were masks: every pixel in the box of an object has its class.

    Use when: objects fill their boxes, as bottles, cans and cartons do when they lie straight.
    Do not use when: objects are thin or lie askew, so that half of the box is background. Use grabcut then.
    Source: Dai, He, Sun 2015, arXiv:1503.01640 (BoxSup's "rectangles" baseline).
    Shapes: each pixel of an image belongs to the object of the smallest box it is in; outside all boxes is background.
    """

    exceptions = {"identity": "it has no strength; without boxes it changes nothing"}
    conflicts = frozenset({"grabcut"})
    makes_of: ClassVar[frozenset[Kind]] = frozenset({"box"})

    def mask_maker(self, net: Any, classes: tuple[str, ...]) -> MaskMaker:
        return _filled


def _filled(pixels_HWC: np.ndarray, masks: Masks) -> Mapping[str, IdMap]:
    return {"boxes": by_box(masks, lambda layer: InBox(np.ones(layer.mask.shape, bool)))}
