"""Objects that are labelled twice."""

from __future__ import annotations

import numpy as np

from whet.core.language import english, english_n
from whet.core.masks import Layer, Masks
from whet.data.audit.finding import Finding, noted
from whet.data.masks import MaskData

SAME = 0.9  # intersection over union


def check_duplicate_objects(data: MaskData) -> list[Finding]:
    """Pairs of objects of one image with an intersection over union of at least 0.9: of one class (duplicates), or of two classes
    (conflicts). Boxes count as their area. Files of pixels hold no overlaps."""
    duplicates: list[tuple[tuple[str, ...], str]] = []
    conflicts: list[tuple[tuple[str, ...], str]] = []
    for image in data.images:
        for one, other in _pairs(image.masks) if image.masks.class_file is None and image.masks.id_file is None else ():
            names = data.classes[one], data.classes[other]
            (duplicates if one == other else conflicts).append(((image.id,), " and ".join(dict.fromkeys(names))))
    found = []
    if duplicates:
        text = english_n(
            "{n} object labelled twice: it counts twice in training and in metrics",
            "{n:,} objects labelled twice: each counts twice in training and in metrics",
            len(duplicates),
        )
        found.append(noted(english("duplicate objects"), "warning", text, duplicates))
    if conflicts:
        text = english_n("{n} object labelled as two classes", "{n:,} objects labelled as two classes", len(conflicts))
        found.append(noted(english("conflicting objects"), "problem", text, conflicts))
    return found


def _pairs(masks: Masks) -> list[tuple[int, int]]:
    """The class numbers of each pair."""
    boxes_N4, _, crowd_N = masks.boxes()
    if len(boxes_N4) < 2:
        return []
    near = np.triu(_box_iou(boxes_N4) >= SAME * SAME, k=1) & ~crowd_N[:, None] & ~crowd_N[None]
    if not near.any():
        return []
    layers = [layer for layer in masks.layers() if layer.mask.size]
    return [
        (layers[j].class_number, layers[k].class_number)
        for j, k in zip(*np.nonzero(near))
        if _iou(layers[j], layers[k]) >= SAME
    ]


def _box_iou(boxes_N4: np.ndarray) -> np.ndarray:
    low = np.maximum(boxes_N4[:, None, :2], boxes_N4[None, :, :2])
    high = np.minimum(boxes_N4[:, None, 2:], boxes_N4[None, :, 2:])
    both = (high - low).clip(0).prod(axis=2)
    area = (boxes_N4[:, 2:] - boxes_N4[:, :2]).prod(axis=1)
    return both / (area[:, None] + area[None] - both)


def _iou(one: Layer, other: Layer) -> float:
    top, left = min(one.top, other.top), min(one.left, other.left)
    bottom = max(layer.top + layer.mask.shape[0] for layer in (one, other))
    right = max(layer.left + layer.mask.shape[1] for layer in (one, other))
    counts = np.zeros((bottom - top, right - left), np.uint8)
    for layer in (one, other):
        height, width = layer.mask.shape
        counts[layer.top - top :, layer.left - left :][:height, :width] += layer.mask
    return float((counts == 2).sum() / (counts > 0).sum())
