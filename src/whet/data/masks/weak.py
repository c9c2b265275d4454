"""Weaker annotations: boxes, points or labels in place of masks, and the rule which images they may be in.

A network can learn from them, but only masks can tell how good its own masks are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
from scipy import ndimage

from whet.core.language import Sentence, english
from whet.core.mask_spec import Supervision
from whet.core.masks import IGNORE, Layer, Masks, Shape
from whet.core.polygons import box_of, box_points, trim
from whet.data.masks.data import MaskData

REAL = "real_masks"
"""The column of the masks that were weakened: what is made of the weaker annotation can be compared with them."""


def boxes_of_boxes(data: MaskData) -> tuple[MaskData, int]:
    """(the same data, in which outlines that are axis-parallel boxes are boxes: what is inside is not known; their number)."""
    count = 0
    images = []
    for image in data.images:
        shapes = tuple(_as_box(shape) for shape in image.masks.shapes)
        count += sum(new is not old for new, old in zip(shapes, image.masks.shapes))
        images.append(replace(image, masks=replace(image.masks, shapes=shapes)))
    return replace(data, images=tuple(images)), count


def as_boxes(masks: Masks) -> Masks:
    """Only the tight box of every object: the annotation for training from boxes."""
    shapes = []
    for layer in _objects(masks):
        height, width = layer.mask.shape
        if layer.mask.size:
            corners = box_points(layer.left, layer.top, layer.left + width, layer.top + height)
            shapes.append(Shape(layer.class_number, (corners,), crowd=layer.crowd, kind="box"))
    return Masks(masks.size, tuple(shapes))


def as_points(masks: Masks) -> Masks:
    """One point in every object and one on the background, each as far from the boundary as possible."""
    class_HW = masks.class_map()
    seen = ((layer, (layer.within(class_HW) == layer.class_number) & layer.mask) for layer in _objects(masks))
    places = [(layer.class_number, layer.top, layer.left, inside) for layer, inside in seen if not layer.crowd]
    places.append((0, 0, 0, class_HW == 0))
    shapes = []
    for class_number, top, left, inside in places:
        if inside.any():
            depth = cv2.distanceTransform(np.pad(inside, 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
            y, x = np.unravel_index(depth[1:-1, 1:-1].argmax(), inside.shape)
            shapes.append(Shape(class_number, (np.array([[left + x + 0.5, top + y + 0.5]]),), kind="point"))
    return Masks(masks.size, tuple(shapes))


def as_labels(masks: Masks) -> Masks:
    """Only which classes occur. An image without objects is background."""
    classes = np.unique(masks.class_map())
    return Masks(masks.size, tuple(Shape(int(k), kind="label") for k in classes if k not in (0, IGNORE)))


_WEAKER: dict[Supervision, Callable[[Masks], Masks]] = {"boxes": as_boxes, "points": as_points, "labels": as_labels}


def weakened(frame: pd.DataFrame, supervision: Supervision) -> tuple[pd.DataFrame, tuple[Sentence, ...]]:
    """(the rows with weaker annotations in the train part, and what they were in the column `REAL`; a note)."""
    if supervision == "masks":
        return frame, ()
    train_N, given = (frame["split"] == "train").to_numpy(), list(frame["masks"])
    weaker = [_WEAKER[supervision](masks) if train else masks for masks, train in zip(given, train_N)]
    note = english(
        "of {n:,} training masks only the {supervision!t} are used (data.masks.supervision)",
        n=int(train_N.sum()), supervision=_SAID[supervision],
    )  # fmt: skip
    return frame.assign(masks=pd.Series(weaker, index=frame.index, dtype=object), **{REAL: frame["masks"]}), (note,)


_SAID = {
    "boxes": english("boxes of the objects"),
    "points": english("points in the objects"),
    "labels": english("classes of the images"),
}


def weak_rows(frame: pd.DataFrame) -> np.ndarray:
    """Which samples have a weak annotation, bool (N,)."""
    return np.array([masks.weak for masks in frame.get("masks", ())] or [False] * len(frame), dtype=bool)


def _objects(masks: Masks) -> Iterator[Layer]:
    """The objects; of masks with classes only, the connected parts of each class."""
    if masks.class_file is None or masks.id_file is not None:
        yield from (layer for layer in masks.layers() if layer.class_number)
        return
    class_HW = masks.class_map()
    for k in np.unique(class_HW):
        if k in (0, IGNORE):
            continue
        part_HW, count = ndimage.label(class_HW == k, np.ones((3, 3)))
        for number, box in enumerate(ndimage.find_objects(part_HW, count), start=1):
            yield Layer(int(k), *trim(box[0].start, box[1].start, part_HW[box] == number))


def _as_box(shape: Shape) -> Shape:
    if shape.kind != "mask" or len(shape.polygons) != 1 or (corners := box_of(shape.polygons[0])) is None:
        return shape
    return replace(shape, kind="box", polygons=(box_points(*corners),))
