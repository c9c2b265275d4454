"""From the outputs of a network for instance segmentation to objects.

A part of every bundle that predicts objects, beside predict.py; whet itself groups with it too. It needs NumPy alone. The outputs
of an image are float32 (C, h, w), in cells; its size is (H, W), in pixels. Classes are numbers, 0 is the background.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING or __package__:
    from whet.bundle.samples import most_likely, resized
else:  # a copy in a bundle
    from samples import most_likely, resized

MOST_OBJECTS = {"centre_offset": 1000, "cond_inst": 300, "own": 300}  # of an image

# centre_offset
OFFSET_UNIT = 8.0  # cells: the length of an offset of 1 in the outputs
MIN_HEAT = 0.1
_REACH = 2  # cells on each side within which only the highest heat is a centre
_FINE = 2  # places for a centre within a cell, in each direction

# cond_inst, own
LEAST_SCORE = {"cond_inst": 0.1, "own": 0.05}
CANDIDATES = 1000  # cells of cond_inst
SAME_OBJECT = 0.5  # IoU of two masks of one class
_FEATURES, _WIDTH, _PARAMETERS = 8, 8, 169  # of the small networks of cond_inst
_UNIT = 8.0  # cells: the length of an offset of 1 in their inputs
_AT_ONCE = 16  # masks


class Object(NamedTuple):
    """score: 0 … 1. mask: bool, its pixels inside its box, whose first row and column in the image are top and left."""

    class_number: int
    score: float
    top: int
    left: int
    mask: np.ndarray


def objects_of(head: str, outputs_Chw: np.ndarray, num_classes: int, size: tuple[int, int]) -> list[Object]:
    """The objects of an image, from the outputs of this head, those with the highest scores first."""
    return {"centre_offset": centre_offset, "cond_inst": cond_inst, "own": queries}[head](
        outputs_Chw, num_classes, size
    )


# --- centre_offset ----------------------------------------------------------------------------------------------------
def centre_offset(outputs_Chw: np.ndarray, num_classes: int, size: tuple[int, int]) -> list[Object]:
    """The objects of an image, those with the highest scores first. The outputs are K logits of classes, the heat of centres, and
    offsets (y, x) to the centre of the object."""
    K = num_classes
    class_HW, probability_HW = most_likely(softmax(outputs_Chw[:K]), size)
    ids_HW, confidence_N = by_centres(class_HW, outputs_Chw[K], outputs_Chw[K + 1 :], partial(resized, size=size))
    return scored(ids_HW, confidence_N, class_HW, probability_HW, K)


def centres(heat_hw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(places (y, x) in cells, float64 (N, 2); their heat, float64 (N,)) of the peaks of the heat: cells of at least `MIN_HEAT`
    with none higher within two cells. Equal neighbouring peaks are one, in their middle."""
    peak_hw = (heat_hw >= MIN_HEAT) & (heat_hw == _highest(heat_hw, _REACH))
    y_P, x_P = np.nonzero(peak_hw)
    number_P = _connected(y_P, x_P, heat_hw.shape)
    count_N = np.bincount(number_P)
    place_N2 = np.stack([np.bincount(number_P, at_P) / count_N for at_P in (y_P, x_P)], axis=1) + 0.5
    heat_N = np.zeros(len(count_N))
    np.maximum.at(heat_N, number_P, heat_hw[y_P, x_P])
    return place_N2, heat_N.clip(0, 1)


def _highest(values_hw: np.ndarray, reach: int) -> np.ndarray:
    """The highest value within a square of 2 reach + 1 cells around each cell."""
    for axis in range(2):
        padded = np.pad(
            values_hw, [(reach, reach) if one == axis else (0, 0) for one in range(2)], constant_values=-np.inf
        )
        values_hw = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis).max(axis=-1)
    return values_hw


def _connected(y_P: np.ndarray, x_P: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """The number, from 0, of the group of each of these cells: neighbours, also diagonal ones, are of one group. The groups are
    numbered by their first cell."""
    P = len(y_P)
    place_hw = np.full((size[0] + 2, size[1] + 2), P)
    place_hw[y_P + 1, x_P + 1] = np.arange(P)
    beside_9P = (
        np.stack([place_hw[y_P + dy, x_P + dx] for dy in range(3) for dx in range(3)]) if P else np.zeros((9, 0), int)
    )
    first_P = np.arange(P + 1)
    while True:
        least_P = np.append(first_P[beside_9P].min(axis=0), P)
        least_P = least_P[least_P]
        if (least_P == first_P).all():
            return np.unique(first_P[:P], return_inverse=True)[1]
        first_P = least_P


def nearest(place_N2: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """The number, from 1, of the nearest of these places (y, x) in cells at every place of a grid with two places per cell, int32
    (2 h, 2 w). Of equally near ones the leftmost, then the upper one. Exact: columns first, then rows."""
    h, w = size[0] * _FINE, size[1] * _FINE
    y_N, x_N = (place_N2 * _FINE).astype(np.int64).T
    column_C, of_N = np.unique(x_N, return_inverse=True)
    number_hC, row_h1 = np.zeros((h, len(column_C)), np.int32), np.arange(h)[:, None]
    number_hC[y_N, of_N] = np.arange(1, len(place_N2) + 1)
    above_hC = np.maximum.accumulate(np.where(number_hC > 0, row_h1, -2 * h), axis=0)
    below_hC = np.minimum.accumulate(np.where(number_hC > 0, row_h1, 3 * h)[::-1], axis=0)[::-1]
    best_hC = np.where(row_h1 - above_hC <= below_hC - row_h1, above_hC, below_hC)
    number_hC = number_hC[best_hC, np.arange(len(column_C))]
    down_hC = (row_h1 - best_hC).astype(np.int32) ** 2
    across_wC = (np.arange(w)[:, None] - column_C).astype(np.int32) ** 2
    return np.stack([number_C[(across_wC + down_C).argmin(axis=1)] for number_C, down_C in zip(number_hC, down_hC)])


def by_centres(
    class_HW: np.ndarray, heat_hw: np.ndarray, offset_2hw: np.ndarray, resize: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """(object numbers int32 (H, W), 0 for none; the confidence of each besides that of its class, (N + 1,)): a pixel of any class
    but the background belongs to the centre nearest to where its offset points. resize: cells to the size of the image,
    bilinear."""
    ids_HW = np.zeros(class_HW.shape, np.int32)
    place_N2, heat_N = centres(heat_hw)
    if len(place_N2):
        y_P, x_P = np.nonzero(class_HW)
        number, places = nearest(place_N2, heat_hw.shape), []
        for at_P, side, cells, offset_hw in zip((y_P, x_P), class_HW.shape, heat_hw.shape, offset_2hw):
            place_P = ((at_P + 0.5) * (cells / side) + resize(offset_hw * OFFSET_UNIT)[y_P, x_P]) * _FINE
            places.append(place_P.astype(np.int64).clip(0, cells * _FINE - 1))
        ids_HW[y_P, x_P] = number[places[0], places[1]]
    return ids_HW, np.append(0.0, heat_N)


def scored(
    raw_HW: np.ndarray, confidence_N: np.ndarray, class_HW: np.ndarray, probability_HW: np.ndarray, num_classes: int
) -> list[Object]:
    """The objects of a map of object numbers (0 for none), those with the highest scores first. The class of an object is that of
    most of its pixels; its score is the mean probability of its pixels times its confidence."""
    N, K = len(confidence_N), num_classes
    y_P, x_P = np.nonzero(raw_HW)
    ids_P = raw_HW[y_P, x_P]
    votes_NK = np.bincount(ids_P * K + class_HW[y_P, x_P].astype(np.int64), minlength=N * K).reshape(N, K)
    area_N = votes_NK.sum(axis=1)
    sure_N = np.bincount(ids_P, probability_HW[y_P, x_P], minlength=N) / np.maximum(area_N, 1)
    score_N = np.where(area_N > 0, sure_N * confidence_N, 0.0)
    order = np.argsort(-score_N, kind="stable")
    order = order[area_N[order] > 0][: MOST_OBJECTS["centre_offset"]]
    boxes = [_extent(ids_P, at_P, N, side) for at_P, side in zip((y_P, x_P), raw_HW.shape)]
    found = []
    for n in order.tolist():
        (top, bottom), (left, right) = (box[n] for box in boxes)
        found.append(
            Object(int(votes_NK[n].argmax()), float(score_N[n]), top, left, raw_HW[top:bottom, left:right] == n)
        )
    return found


def _extent(ids_P: np.ndarray, at_P: np.ndarray, count: int, side: int) -> list[tuple[int, int]]:
    """The first place of each number, and the one after its last, along a side."""
    there_NS = np.zeros((count, side), bool)
    there_NS[ids_P, at_P] = True
    return list(zip(there_NS.argmax(axis=1).tolist(), (side - there_NS[:, ::-1].argmax(axis=1)).tolist()))


# --- cond_inst --------------------------------------------------------------------------------------------------------
def cond_inst(outputs_Chw: np.ndarray, num_classes: int, size: tuple[int, int]) -> list[Object]:
    """The objects of an image, those with the highest scores first. A cell is a candidate for a class where its score, the root of
    the probability of the class times the quality of the mask, is the highest of the nine cells around it. Candidates that overlap
    a better one of the class by more than half are duplicates; the score of the others is multiplied by 1 - their largest IoU with
    a better one.

    Source: Bodla, Singh, Chellappa, Davis 2017, arXiv:1704.04503 (Soft-NMS), here in the order of the first scores. Deviates: the
    root, because the focal loss makes probabilities too small.
    """
    score_khw = np.sqrt(_sigmoid(outputs_Chw[: num_classes - 1])) * _sigmoid(outputs_Chw[num_classes - 1])
    highest_khw = np.stack([_highest(one_hw, 1) for one_hw in score_khw]) if num_classes > 1 else score_khw
    k_L, y_L, x_L = np.nonzero((score_khw == highest_khw) & (score_khw >= LEAST_SCORE["cond_inst"]))
    score_L = score_khw[k_L, y_L, x_L]
    order_L = np.argsort(-score_L, kind="stable")[:CANDIDATES]
    masks = masks_of(outputs_Chw[num_classes:], y_L[order_L], x_L[order_L])
    candidates = zip((k_L[order_L] + 1).tolist(), score_L[order_L].tolist(), masks, strict=True)
    return distinct(candidates, size, MOST_OBJECTS["cond_inst"])


def masks_of(groups: np.ndarray, y_L: np.ndarray, x_L: np.ndarray) -> Iterator[np.ndarray]:
    """The logits (h, w) of the masks of these cells, the sums of those of all groups of parameters and features. The mask of a cell
    is that of a network with two hidden layers of 8 units, whose parameters are there, on the 8 features of every pixel and its
    offset (y, x) from the cell."""
    at_L2 = np.stack([y_L, x_L], axis=1).astype(np.float32) + 0.5
    for start in range(0, len(y_L), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        total: np.ndarray | float = 0.0
        for first in range(0, len(groups), _PARAMETERS + _FEATURES):
            features = groups[first + _PARAMETERS : first + _PARAMETERS + _FEATURES]
            total = total + _mask_logits(
                features, groups[first : first + _PARAMETERS, y_L[rows], x_L[rows]].T, at_L2[rows]
            )
        yield from np.asarray(total)


def _mask_logits(features_Fhw: np.ndarray, parameters_NP: np.ndarray, at_N2: np.ndarray) -> np.ndarray:
    N, (h, w) = len(parameters_NP), features_Fhw.shape[1:]
    place_2hw = np.stack(
        np.meshgrid(*((np.arange(side, dtype=np.float32) + 0.5) / _UNIT for side in (h, w)), indexing="ij")
    )
    x: np.ndarray = np.concatenate([features_Fhw, place_2hw]).reshape(1, _FEATURES + 2, h * w)
    start = 0
    for layer, (outputs, inputs) in enumerate(((_WIDTH, _FEATURES + 2), (_WIDTH, _WIDTH), (1, _WIDTH))):
        middle = start + outputs * inputs
        weight = parameters_NP[:, start:middle].reshape(N, outputs, inputs)
        bias = parameters_NP[:, middle : middle + outputs, None]
        if layer == 0:  # the offset is place - at: the part of `at` is the same for all pixels, as a bias is
            bias = bias - weight[:, :, _FEATURES:] @ (at_N2 / np.float32(_UNIT))[..., None]
        else:
            x = np.maximum(x, 0)
        x, start = weight @ x + bias, middle + outputs
    return x.reshape(N, h, w)


# --- own --------------------------------------------------------------------------------------------------------------
def queries(outputs_QHw: np.ndarray, num_classes: int, size: tuple[int, int]) -> list[Object]:
    """The objects of an image, those with the highest scores first. Each of Q queries has, in its first rows, its number of class
    logits, these logits, the last for "no object", and zeros to the end of the row; then the logits of its mask. The score of a
    query is the probability of its class times the mean probability of the pixels of its mask. Of two of a class whose masks
    overlap by more than half, the one with the lower score is a duplicate; the score of the others is multiplied by 1 - their
    largest IoU with a better one.

    Source: Cheng et al. 2022, arXiv:2112.01527 (instance inference). Deviates: the best class of each query alone, so that no
    object is counted twice; without duplicates, which a short training leaves.
    """
    logits, w = int(outputs_QHw[0, 0, 0]), outputs_QHw.shape[2]
    rows = -(-(logits + 1) // w)
    class_QC = outputs_QHw[:, :rows].reshape(len(outputs_QHw), -1)[:, 1 : logits + 1]
    mask_Qhw = outputs_QHw[:, rows:]
    prob_QC = softmax(class_QC, axis=1)[:, :-1]
    prob_Q, k_Q = prob_QC.max(axis=1), prob_QC.argmax(axis=1)
    inside_Qhw = mask_Qhw > 0
    sure_Q = (_sigmoid(mask_Qhw) * inside_Qhw).sum(axis=(1, 2)) / np.maximum(inside_Qhw.sum(axis=(1, 2)), 1)
    score_Q = prob_Q * sure_Q
    order = np.argsort(-score_Q, kind="stable")
    order = order[score_Q[order] >= LEAST_SCORE["own"]].tolist()
    return distinct(((int(k_Q[q]) + 1, float(score_Q[q]), mask_Qhw[q]) for q in order), size, MOST_OBJECTS["own"])


# --- masks ------------------------------------------------------------------------------------------------------------
def distinct(candidates: Iterable[tuple[int, float, np.ndarray]], size: tuple[int, int], most: int) -> list[Object]:
    """The objects of an image without duplicates, those with the highest scores first. candidates: class, score and the logits of
    the mask, in descending order of score."""
    found: list[Object] = []
    rough: dict[int, list[tuple[int, int, np.ndarray]]] = {}
    for k, score, logits_hw in candidates:
        cells = trim(0, 0, logits_hw > 0)
        overlap = max((_iou(cells, other) for other in rough.get(k, ())), default=0.0)
        if not cells[2].size or overlap > SAME_OBJECT:
            continue
        rough.setdefault(k, []).append(cells)
        found.append(Object(k, score * (1 - overlap), *upsampled(logits_hw, size)))
        if len(found) == most:
            break
    return sorted(found, key=lambda one: -one.score)


def _iou(one: tuple[int, int, np.ndarray], other: tuple[int, int, np.ndarray]) -> float:
    (top, left, mask), (y, x, theirs) = one, other
    y0, x0 = max(top, y), max(left, x)
    y1, x1 = min(top + mask.shape[0], y + theirs.shape[0]), min(left + mask.shape[1], x + theirs.shape[1])
    if y0 >= y1 or x0 >= x1:
        return 0.0
    shared = np.count_nonzero(
        mask[y0 - top : y1 - top, x0 - left : x1 - left] & theirs[y0 - y : y1 - y, x0 - x : x1 - x]
    )
    both = np.count_nonzero(mask) + np.count_nonzero(theirs) - shared
    return int(shared) / max(int(both), 1)


def upsampled(logits_hw: np.ndarray, size: tuple[int, int]) -> tuple[int, int, np.ndarray]:
    """Where the logits, resized to this size, are positive: bilinear, with half-pixel centres. Only the box around positive cells
    is resized."""
    cells = [np.flatnonzero((logits_hw > 0).any(axis=1 - axis)) for axis in (0, 1)]
    if not len(cells[0]):
        return 0, 0, np.zeros((0, 0), bool)
    firsts, shown = [], logits_hw
    for axis, (own, pixels) in enumerate(zip(cells, size)):
        count = logits_hw.shape[axis]
        first, stop = (int(cell * pixels / count) for cell in (max(0, own[0] - 1), min(count, own[-1] + 2)))
        place_S = ((np.arange(first, max(stop, first + 1)) + 0.5) * count / pixels - 0.5).clip(0, count - 1)
        low_S = place_S.astype(np.int64)
        share_S = np.expand_dims((place_S - low_S).astype(np.float32), 1 - axis)
        below, above = (shown.take(one, axis) for one in (low_S, np.minimum(low_S + 1, count - 1)))
        shown = below + share_S * (above - below)
        firsts.append(first)
    return trim(firsts[0], firsts[1], shown > 0)


def trim(top: int, left: int, mask: np.ndarray) -> tuple[int, int, np.ndarray]:
    """The same mask inside its bounding box; (0, 0) pixels where it has none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return 0, 0, np.zeros((0, 0), bool)
    inner = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return top + int(rows[0]), left + int(columns[0]), np.ascontiguousarray(inner)


# --- what is predicted ------------------------------------------------------------------------------------------------
def described(found: Sequence[Object], classes: Sequence[str], least: float, size: tuple[int, int]) -> dict[str, Any]:
    """The prediction for an image of this size (H, W).

    objects: those with at least the confidence `least`, the most confident first, each with class, confidence, box (x, y, width,
    height) and area in pixels, and segmentation, its mask as COCO's compressed RLE. counts: of objects, by class. ids: uint16
    (H, W), n for the n-th object, 0 for none; of several the most confident one is on top."""
    shown = [one for one in found if one.score >= least]
    ids_HW = np.zeros(size, np.uint16)
    for number, one in reversed(list(enumerate(shown, start=1))):
        ids_HW[one.top : one.top + one.mask.shape[0], one.left : one.left + one.mask.shape[1]][one.mask] = number
    objects = [
        {
            "class": classes[one.class_number],
            "confidence": one.score,
            "box": [one.left, one.top, one.mask.shape[1], one.mask.shape[0]],
            "area": int(np.count_nonzero(one.mask)),
            "segmentation": {"size": list(size), "counts": run_lengths(one, size)},
        }
        for one in shown
    ]
    counts = {name: sum(one["class"] == name for one in objects) for name in classes[1:]}
    return {"objects": objects, "counts": counts, "ids": ids_HW}


def run_lengths(one: Object, size: tuple[int, int]) -> str:
    """The mask of an object over the whole image as COCO's compressed run lengths: column by column, zeros first."""
    height, width = size
    columns_WH = np.zeros((one.mask.shape[1], height), bool)
    columns_WH[:, one.top : one.top + len(one.mask)] = one.mask.T
    flat = np.concatenate([[False], columns_WH.ravel(), [False]])
    edge = np.flatnonzero(flat[1:] != flat[:-1]) + one.left * height
    runs = np.diff(edge, prepend=0, append=height * width)
    if len(runs) % 2 and runs[-1] == 0:
        runs = runs[:-1]
    return _compressed(runs)


def _compressed(runs: np.ndarray) -> str:
    """Each number in characters of five bits, the lowest first, from "0"; a sixth bit says that more follow. From the fourth on,
    the difference from the number two places before."""
    runs = runs.astype(np.int64)
    left_R = runs.copy()
    left_R[3:] -= runs[1:-2]
    code_CR = np.zeros((7, len(runs)), np.uint8)  # seven characters hold any image
    more_R = np.ones(len(runs), bool)
    for code_R in code_CR:
        low_R = left_R & 31
        left_R = np.where(more_R, left_R >> 5, left_R)
        ends_R = np.where(low_R & 16, left_R == -1, left_R == 0)
        code_R[more_R] = (low_R + 32 * ~ends_R + 48)[more_R]
        more_R &= ~ends_R
    return code_CR.T[code_CR.T > 0].tobytes().decode("ascii")


def softmax(values: np.ndarray, axis: int = 0) -> np.ndarray:
    shifted = np.exp(values - values.max(axis=axis, keepdims=True))
    return shifted / shifted.sum(axis=axis, keepdims=True)


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values.clip(-80, 80)))
