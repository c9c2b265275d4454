"""From the outputs of the head `cond_inst` to objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from whet.core.masks import Detection, Layer
from whet.core.polygons import trim
from whet.core.rle import Cropped
from whet.models.dynamic_masks import FEATURES, PARAMETERS, mask_logits
from whet.tasks.instance_matching import iou_of

LEAST_SCORE = 0.1
CANDIDATES, MOST_OBJECTS = 1000, 300  # of an image
SAME_OBJECT = 0.5  # IoU of two masks of one class
_AT_ONCE = 16  # masks


def objects_of(outputs_Chw: np.ndarray, num_classes: int, size: tuple[int, int]) -> list[Detection]:
    """The objects of an image of this size (H, W), those with the highest scores first. A cell is a candidate for a class where its
    score, the root of the probability of the class times the quality of the mask, is the highest of the nine cells around it.
    Candidates that overlap a better one of the class by more than half are duplicates; the score of the others is multiplied by
    1 - their largest IoU with a better one.

    Source: Bodla, Singh, Chellappa, Davis 2017, arXiv:1704.04503 (Soft-NMS), here in the order of the first scores. Deviates: the
    root, because the focal loss makes probabilities too small.
    """
    outputs = torch.from_numpy(np.ascontiguousarray(outputs_Chw, np.float32))
    score_khw = outputs[: num_classes - 1].sigmoid().sqrt() * outputs[num_classes - 1].sigmoid()
    peak_khw = (score_khw == max_pool2d(score_khw, 3, stride=1, padding=1)) & (score_khw >= LEAST_SCORE)
    k_L, y_L, x_L = peak_khw.nonzero(as_tuple=True)
    score_L = score_khw[k_L, y_L, x_L]
    order_L = torch.argsort(score_L, descending=True, stable=True)[:CANDIDATES]
    k_L, y_L, x_L, score_L = (one[order_L] for one in (k_L, y_L, x_L, score_L))
    masks = masks_of(outputs[num_classes:], y_L, x_L)
    return distinct(zip((k_L + 1).tolist(), score_L.tolist(), masks, strict=True), size)


def distinct(candidates: Iterable[tuple[int, float, np.ndarray]], size: tuple[int, int]) -> list[Detection]:
    """The objects of an image of this size (H, W) without duplicates, those with the highest scores first. candidates: class, score
    and the logits of the mask, in descending order of score."""
    found: list[Detection] = []
    rough: dict[int, list[Layer]] = {}
    for k, score, logits_hw in candidates:
        cells = Layer(k, *trim(0, 0, logits_hw > 0))
        overlap = float(iou_of(cells, rough.get(k, [])).max(initial=0))
        if not cells.mask.size or overlap > SAME_OBJECT:
            continue
        rough.setdefault(k, []).append(cells)
        found.append(Detection(Layer(k, *upsampled(logits_hw, size)), score * (1 - overlap)))
        if len(found) == MOST_OBJECTS:
            break
    return sorted(found, key=lambda one: -one.score)


def masks_of(groups: Tensor, y_L: Tensor, x_L: Tensor) -> Iterator[np.ndarray]:
    """The logits (h, w) of the masks of these cells, the sums of those of all groups of parameters and features."""
    at_L2 = torch.stack([y_L, x_L], dim=1) + 0.5
    for start in range(0, len(y_L), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        total: Tensor | float = 0.0
        for group in groups.split(PARAMETERS + FEATURES):
            own_LP = group[:PARAMETERS, y_L[rows], x_L[rows]].T
            total = total + mask_logits(group[PARAMETERS:], own_LP, at_L2[rows])
        assert isinstance(total, Tensor)
        yield from total.numpy()


def upsampled(logits_hw: np.ndarray, size: tuple[int, int]) -> Cropped:
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
