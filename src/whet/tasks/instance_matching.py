"""Matches the predicted objects of one image with its labelled objects, as COCO's evaluation does.

Source: Lin et al. 2014, arXiv:1405.0312, and pycocotools 2.0 (`COCOeval.evaluateImg`). Deviates: objects without pixels are left
out, and a crowd of class 0 (pixels of unknown objects) is one for every class.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from whet.core.masks import Detection, Layer

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""IoU from which a predicted object matches a labelled one."""
MOST_DETECTIONS = 1000
"""Predicted objects of one class in one image that count, those with the highest scores. COCO's own limit is 100."""
COLUMNS = 5
_BITS_T = 1 << np.arange(len(THRESHOLDS))


def matched(detections: Sequence[Detection], targets: Sequence[Layer], num_classes: int) -> np.ndarray:
    """float64 (K + 5 D,): the number of labelled objects of each class without crowds, and for each detection, in descending order
    of score within a class: score, class, the thresholds at which it is matched and those at which it is ignored because it lies in
    a crowd (as bits of a whole number), and its IoU with the object that it matches at the lowest threshold (0 for none)."""
    things = [target for target in targets if target.mask.any()]
    classes = [target.class_number for target in things if not target.crowd]
    found = [np.bincount(np.array(classes, np.int64), minlength=num_classes).astype(float)]
    for k in sorted({one.layer.class_number for one in detections}):
        own = [one for one in detections if one.layer.class_number == k]
        own = [own[i] for i in np.argsort([-one.score for one in own], kind="stable")[:MOST_DETECTIONS]]
        # Crowds are last: a detection matches one only where no object is left for it.
        there = [target for target in things if not target.crowd and target.class_number == k]
        crowds = [target for target in things if target.crowd and target.class_number in (0, k)]
        found += _rows(k, own, there, crowds)
    return np.concatenate(found)


def _rows(k: int, own: list[Detection], there: list[Layer], crowds: list[Layer]) -> list[np.ndarray]:
    T, G = len(THRESHOLDS), len(there)
    free_TG = np.ones((T, G), dtype=bool)
    area_G = np.array([np.count_nonzero(target.mask) for target in there], dtype=float)
    boxes_G4, crowd_boxes_C4 = _boxes(there), _boxes(crowds)
    rows = []
    for one in own:
        area = max(np.count_nonzero(one.layer.mask), 1)
        shared_G = _shared(one.layer, there, boxes_G4)
        iou_G = shared_G / (area + area_G - shared_G)
        in_crowd = _shared(one.layer, crowds, crowd_boxes_C4).max(initial=0) / area
        hit_T, ignored_T, iou = np.zeros(T, bool), np.zeros(T, bool), 0.0
        for t, threshold in enumerate(THRESHOLDS):
            open_G = np.where(free_TG[t], iou_G, -1)
            best = G - 1 - int(open_G[::-1].argmax()) if G else -1  # of equals the last, as in pycocotools
            if G and open_G[best] >= threshold:
                hit_T[t], free_TG[t, best] = True, False
                iou = float(iou_G[best]) if t == 0 else iou
            else:
                ignored_T[t] = in_crowd >= threshold
        rows.append(np.array([one.score, k, hit_T @ _BITS_T, ignored_T @ _BITS_T, iou]))
    return rows


def _boxes(layers: Sequence[Layer]) -> np.ndarray:
    """(y0, x0, y1, x1) of each, int64 (N, 4)."""
    boxes = [(one.top, one.left, one.top + one.mask.shape[0], one.left + one.mask.shape[1]) for one in layers]
    return np.array(boxes, np.int64).reshape(-1, 4)


def _shared(one: Layer, others: Sequence[Layer], boxes_N4: np.ndarray) -> np.ndarray:
    """The number of pixels that a mask has in common with each of the others, float (N,)."""
    found_N = np.zeros(len(others))
    (box_4,) = _boxes([one])
    start_N2, stop_N2 = np.maximum(boxes_N4[:, :2], box_4[:2]), np.minimum(boxes_N4[:, 2:], box_4[2:])
    for n in np.flatnonzero((start_N2 < stop_N2).all(axis=1)).tolist():
        (y0, x0), (y1, x1), (top, left) = start_N2[n], stop_N2[n], boxes_N4[n, :2]
        own = one.mask[y0 - one.top : y1 - one.top, x0 - one.left : x1 - one.left]
        found_N[n] = np.count_nonzero(own & others[n].mask[y0 - top : y1 - top, x0 - left : x1 - left])
    return found_N


def iou_of(one: Layer, others: Sequence[Layer]) -> np.ndarray:
    """The IoU of a mask with each of the others, float (N,)."""
    area_N = np.array([np.count_nonzero(other.mask) for other in others], dtype=float)
    shared_N = _shared(one, others, _boxes(others))
    return shared_N / np.maximum(np.count_nonzero(one.mask) + area_N - shared_N, 1)


def unpacked(bits_D: np.ndarray) -> np.ndarray:
    """The bits of `matched` as bool (D, T)."""
    return (bits_D.astype(np.int64)[:, None] & _BITS_T) > 0
