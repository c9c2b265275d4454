"""Weaker annotations from masks."""

from __future__ import annotations

from dataclasses import replace

from whet.core.masks import Masks, Shape
from whet.core.polygons import box_of, box_points
from whet.data.masks.data import MaskData


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
    for layer in masks.layers():
        height, width = layer.mask.shape
        if layer.mask.size:
            corners = box_points(layer.left, layer.top, layer.left + width, layer.top + height)
            shapes.append(Shape(layer.class_number, (corners,), crowd=layer.crowd, kind="box"))
    return Masks(masks.size, tuple(shapes))


def _as_box(shape: Shape) -> Shape:
    if shape.kind != "mask" or len(shape.polygons) != 1 or (corners := box_of(shape.polygons[0])) is None:
        return shape
    return replace(shape, kind="box", polygons=(box_points(*corners),))
