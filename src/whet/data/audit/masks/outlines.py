"""Outlines that are boxes, cross themselves, leave the image, or lie inside another outline of their object."""

from __future__ import annotations

from collections import Counter

import numpy as np

from whet.core.language import Sentence, english, english_n
from whet.core.masks import Masks, Shape
from whet.core.polygons import box_of, raster
from whet.core.rle import Size
from whet.data.audit.finding import Finding, Severity, noted
from whet.data.masks import MaskData

MANY_BOXES = 0.1  # of the objects; a few things are boxes
FULL_BOX = 8  # least side in pixels of a mask that fills its box
OUTSIDE = 2.0  # pixels beyond the border, and a hundredth of the image's side
_ROWS = 256  # edges compared at once with all others


def check_outlines(data: MaskData) -> list[Finding]:
    """Box-shaped: the outline is an axis-parallel box, or the mask fills its bounding box (`whet.data.masks.weak.boxes_of_boxes`
    makes boxes of such polygons). Crossing: two edges of one outline cross, so a part may be left out. Hole: one polygon of an
    object lies wholly inside another, and COCO fills it. Outside: an outline goes beyond the border, where it is cut."""
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in ("box", "crossing", "hole", "outside")}
    boxes = 0
    for image in data.images:
        for kind, number in _faults(image.masks).items():
            if number:
                counts[kind][image.id] = number
    boxes, objects = counts["box"].total(), max(data.objects, 1)
    severe: Severity = "warning" if boxes > MANY_BOXES * objects else "fact"
    told: tuple[tuple[str, Sentence, Severity, Sentence], ...] = (
        ("box", english("box-shaped masks"), severe, english(
            "{n:,} of {objects:,} objects are axis-parallel boxes, not outlines: a network learns their corners as "
            "well; they can be "
            "used as boxes", n=boxes, objects=objects)),
        ("crossing", english("crossing outlines"), "warning", english(
            "objects with an outline that crosses itself: {n:,}; parts of it may be left out", n=counts["crossing"].total())),
        ("hole", english("holes"), "warning", english(
            "objects with a polygon inside another: {n:,}; a hole that COCO fills; write it as RLE", n=counts["hole"].total())),
        ("outside", english("outside the image"), "fact", english(
            "objects with an outline that goes beyond the border of the image, where it is cut: {n:,}",
            n=counts["outside"].total())),
    )  # fmt: skip
    found = []
    for kind, title, severity, text in told:
        if counts[kind]:
            entries = [
                ((name,), english_n("{n} object", "{n:,} objects", number)) for name, number in counts[kind].items()
            ]
            found.append(noted(title, severity, text, entries))
    return found


def _faults(masks: Masks) -> Counter[str]:
    """The number of objects with each fault."""
    found: Counter[str] = Counter()
    if masks.id_file is not None:
        found["box"] = sum(bool(layer.mask.all()) and min(layer.mask.shape) >= FULL_BOX for layer in masks.layers())
        return found
    for shape in masks.shapes:
        if shape.kind != "mask" or shape.crowd or not shape.polygons:
            continue
        found["box"] += all(box_of(points) is not None for points in shape.polygons)
        found["crossing"] += any(crosses_itself(points) for points in shape.polygons)
        found["hole"] += has_inner(shape, masks.size)
        found["outside"] += any(_leaves(points, masks.size) for points in shape.polygons)
    return found


def crosses_itself(points_P2: np.ndarray) -> bool:
    """Whether two edges of a closed polygon cross in their inside. Edges that only touch or lie on each other, as where a ring runs
    in and out along the same line, do not."""
    start, stop = points_P2, np.roll(points_P2, -1, axis=0)
    moving = (start != stop).any(axis=1)
    start, stop = start[moving], stop[moving]
    for first in range(0, len(start), _ROWS):
        a, b = start[first : first + _ROWS, None], stop[first : first + _ROWS, None]
        one = _side(a, b, start[None]) * _side(a, b, stop[None])
        other = _side(start[None], stop[None], a) * _side(start[None], stop[None], b)
        if ((one < 0) & (other < 0)).any():
            return True
    return False


def _side(a: np.ndarray, b: np.ndarray, point: np.ndarray) -> np.ndarray:
    """On which side of the line from a to b a point lies: -1, 0 or 1."""
    along, to = b - a, point - a
    return np.sign(along[..., 0] * to[..., 1] - along[..., 1] * to[..., 0])


def has_inner(shape: Shape, size: Size) -> bool:
    """Whether a polygon of several adds no pixel to another one of its object."""
    areas = [int(raster([points], size)[2].sum()) for points in shape.polygons]
    for k, inner in enumerate(shape.polygons):
        for j, outer in enumerate(shape.polygons):
            contained = (inner.min(axis=0) >= outer.min(axis=0)).all() and (
                inner.max(axis=0) <= outer.max(axis=0)
            ).all()
            if j != k and contained and areas[k] < areas[j] == int(raster([inner, outer], size)[2].sum()):
                return True
    return False


def _leaves(points_P2: np.ndarray, size: Size) -> bool:
    sides = np.array([size[1], size[0]], float)
    beyond = np.maximum(-points_P2.min(axis=0), points_P2.max(axis=0) - sides)
    return bool((beyond > np.maximum(OUTSIDE, sides / 100)).any())
