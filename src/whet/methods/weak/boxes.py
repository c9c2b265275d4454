"""From what is found in each box to the objects of an image."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from whet.core.masks import IGNORE_ID, IdMap, Layer, Masks


class InBox(NamedTuple):
    """The pixels of the object in a box, and those of which it is not known, bool in the size of the box; None for none of them."""

    object_HW: np.ndarray
    unsure_HW: np.ndarray | None = None


def by_box(masks: Masks, inside: Callable[[Layer], InBox]) -> IdMap:
    """The objects of an image with boxes. Where boxes overlap, an object counts more than what is not known, this more than
    background, and the object of a smaller box more than that of a larger one. Crowds are ignored, and masks beside the boxes stay
    as they are. Object k is the kth of the layers that are no crowd, no background and not empty."""
    ids_HW = np.zeros(masks.size, np.uint16)
    layers = [layer for layer in masks.layers() if layer.mask.size]
    things = [layer for layer in layers if layer.class_number and not layer.crowd]
    numbered = list(enumerate(things, start=1))
    boxes = [(k, layer) for k, layer in numbered if layer.kind == "box"]
    for k, layer in sorted(boxes, key=lambda pair: -pair[1].mask.size):  # stable
        here, found = layer.within(ids_HW), inside(layer)
        if found.unsure_HW is not None:
            here[found.unsure_HW & (here == 0)] = IGNORE_ID
        here[found.object_HW] = k
    for layer in layers:
        if layer.crowd:
            layer.within(ids_HW)[layer.mask & (layer.within(ids_HW) == 0)] = IGNORE_ID
    number = {id(layer): k for k, layer in numbered}
    for layer in layers:
        if layer.kind == "mask" and not layer.crowd:
            layer.paint(ids_HW, number.get(id(layer), 0))
    return IdMap(ids_HW, np.array([layer.class_number for layer in things], np.int64))
