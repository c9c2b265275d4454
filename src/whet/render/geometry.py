"""Points and boxes follow the warp that the pixels took. (Masks are painted by the painters themselves, nearest pixel.)"""

from __future__ import annotations

import numpy as np


def warp_points(points_N2: np.ndarray, warp_33: np.ndarray) -> np.ndarray:
    """Where source points (x, y) appear in the output: float (N, 2), beyond the frame where they left it. Points behind a
    perspective's horizon become NaN."""
    homogeneous = np.concatenate([np.asarray(points_N2, dtype=np.float64), np.ones((len(points_N2), 1))], axis=1)
    forward = np.linalg.inv(warp_33)
    mapped = homogeneous @ (forward / forward[2, 2]).T
    depth = np.where(mapped[:, 2:] > 1e-9, mapped[:, 2:], np.nan)
    return mapped[:, :2] / depth


def warp_boxes(boxes_N4: np.ndarray, warp_33: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Source boxes (x0, y0, x1, y1) -> their upright hulls in the output, cut to the frame, (N, 4); and the share of each
    hull that is still in the frame, (N,): 0 for a box that left it."""
    boxes = np.asarray(boxes_N4, dtype=np.float64).reshape(-1, 4)
    corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 2)
    moved = warp_points(corners, warp_33).reshape(-1, 4, 2)
    hull = np.concatenate([moved.min(axis=1), moved.max(axis=1)], axis=1)
    height, width = size
    cut = np.clip(hull, 0, [width, height, width, height])
    area, whole = _area(cut), _area(hull)
    return cut, np.divide(area, whole, out=np.zeros_like(area), where=whole > 0)


def _area(boxes_N4: np.ndarray) -> np.ndarray:
    return np.maximum(boxes_N4[:, 2] - boxes_N4[:, 0], 0) * np.maximum(boxes_N4[:, 3] - boxes_N4[:, 1], 0)
