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
SIZES = ("all", "small", "medium", "large")
"""Areas of objects in pixels of the image, both ends included, as COCO has them. Objects of other areas are ignored: they count
neither as objects nor as mistakes."""
_AREA_A2 = np.array([[0, np.inf], [0, 32**2], [32**2, 96**2], [96**2, np.inf]])
COLUMNS = 3 + 2 * len(SIZES)
_BITS_T = 1 << np.arange(len(THRESHOLDS))


def matched(detections: Sequence[Detection], targets: Sequence[Layer], num_classes: int) -> np.ndarray:
    """float64 (4 K + 11 D,): the number of labelled objects of each class and of each of SIZES without crowds, and for each
    detection, in descending order of score within a class: score, class, its IoU with the object that it matches at the lowest
    threshold (0 for none), and for each of SIZES the thresholds at which it is matched, then those at which it is ignored, as bits
    of a whole number. A detection is ignored where it lies in a crowd, matches an object of another size, or matches none and has
    another size itself."""
    things = [target for target in targets if target.mask.any()]
    counts_KA = np.zeros((num_classes, len(SIZES)))
    for target in things:
        if not target.crowd:
            counts_KA[target.class_number] += _within(np.array([np.count_nonzero(target.mask)]))[0]
    found = [counts_KA.ravel()]
    for k in sorted({one.layer.class_number for one in detections}):
        own = [one for one in detections if one.layer.class_number == k]
        own = [own[i] for i in np.argsort([-one.score for one in own], kind="stable")[:MOST_DETECTIONS]]
        there = [target for target in things if target.class_number == k or (target.crowd and not target.class_number)]
        found.append(_rows(k, own, there).ravel())
    return np.concatenate(found)


def _within(area_N: np.ndarray) -> np.ndarray:
    """Whether areas belong to each of SIZES, bool (N, A)."""
    return (area_N[:, None] >= _AREA_A2[:, 0]) & (area_N[:, None] <= _AREA_A2[:, 1])


def _rows(k: int, own: list[Detection], there: list[Layer]) -> np.ndarray:
    """(D, COLUMNS)"""
    D, A, T = len(own), len(SIZES), len(THRESHOLDS)
    area_G = np.array([np.count_nonzero(target.mask) for target in there], dtype=float)
    area_D = np.array([np.count_nonzero(one.layer.mask) for one in own], dtype=float)
    crowd_G, boxes_G4 = np.array([target.crowd for target in there], dtype=bool), _boxes(there)
    shared_DG = np.array([_shared(one.layer, there, boxes_G4) for one in own]).reshape(D, len(there))
    sure_D1 = np.maximum(area_D, 1)[:, None]
    iou_DG = shared_DG / np.where(crowd_G, sure_D1, sure_D1 + area_G - shared_DG)
    near_D = (iou_DG >= THRESHOLDS[0]).any(axis=1)
    within_GA, within_DA = _within(area_G), _within(area_D)
    hit_DAT, ignored_DAT = np.zeros((D, A, T), dtype=bool), np.zeros((D, A, T), dtype=bool)
    iou_D, place_T = np.zeros(D), np.arange(T)
    for a in range(A):
        counts_G = within_GA[:, a] & ~crowd_G
        if a and (counts_G == ~crowd_G).all():  # the partners are those among objects of all sizes
            hit_DAT[:, a], ignored_DAT[:, a] = hit_DAT[:, 0], ignored_DAT[:, 0]
            ignored_DAT[:, a] |= ~hit_DAT[:, a] & ~within_DA[:, a, None]
            continue
        free_TG = np.ones((T, len(there)), dtype=bool)
        for d in range(D):
            ignored_DAT[d, a] = not within_DA[d, a]
            if not near_D[d]:
                continue
            # An object that counts comes first; of equals the last, as in pycocotools.
            open_TG = np.where(free_TG & (iou_DG[d] >= THRESHOLDS[:, None]), iou_DG[d] + 2 * counts_G, -1)
            best_T = len(there) - 1 - open_TG[:, ::-1].argmax(axis=1)
            partner_T = open_TG[place_T, best_T] >= 0
            hit_DAT[d, a] = partner_T & counts_G[best_T]
            ignored_DAT[d, a] = np.where(partner_T, ~counts_G[best_T], ignored_DAT[d, a])
            free_TG[place_T[partner_T], best_T[partner_T]] = False
            free_TG[:, crowd_G] = True
            if a == 0 and hit_DAT[d, a, 0]:
                iou_D[d] = iou_DG[d, best_T[0]]
    first_D3 = np.stack([np.array([one.score for one in own]), np.full(D, k), iou_D], axis=1)
    return np.concatenate([first_D3, hit_DAT @ _BITS_T, ignored_DAT @ _BITS_T], axis=1)


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
