"""From what is found in each box to a map of classes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from whet.core.masks import IGNORE, Layer, Masks


def by_box(masks: Masks, inside: Callable[[Layer], np.ndarray]) -> np.ndarray:
    """A map of classes, uint8 (H, W). inside: for a box, the class, background or IGNORE of each of its pixels. Where boxes
    overlap, an object counts more than what is not known, this more than background, and the object of a smaller box more than
    that of a larger one. Crowds are ignored, and masks beside the boxes stay as they are."""
    map_HW = np.zeros(masks.size, np.uint8)
    layers = [layer for layer in masks.layers() if layer.mask.size]
    boxes = [layer for layer in layers if layer.kind == "box" and not layer.crowd]
    for layer in sorted(boxes, key=lambda layer: -layer.mask.size):  # stable
        here, found = layer.within(map_HW), inside(layer)
        here[found == layer.class_number] = layer.class_number
        here[(found == IGNORE) & (here == 0)] = IGNORE
    for layer in layers:
        if layer.crowd:
            layer.within(map_HW)[layer.mask & (layer.within(map_HW) == 0)] = IGNORE
    for layer in layers:
        if layer.kind == "mask" and not layer.crowd:
            layer.paint(map_HW, layer.class_number)
    return map_HW


def found_of(layer: Layer, object_HW: np.ndarray, unsure_HW: np.ndarray | None = None) -> np.ndarray:
    """The class of the pixels of an object, IGNORE where it is not sure, background elsewhere, uint8 in the size of the box."""
    found = np.where(object_HW, layer.class_number, 0).astype(np.uint8)
    if unsure_HW is not None:
        found[unsure_HW] = IGNORE
    return found
