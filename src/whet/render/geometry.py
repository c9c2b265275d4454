"""Transforms points, boxes and polygons like the pixels of a view. (Masks are rendered by the image renderers.)"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import map_coordinates

from whet.core.view import ImageView
from whet.render.image_cpu import flow_field

_ROUNDS = 20  # sufficient to invert a flow without folds to a hundredth of a pixel


def warp_points(points_N2: np.ndarray, view: ImageView, i: int) -> np.ndarray:
    """The output positions of source points (x, y) of sample i: float (N, 2), which may lie outside the frame. Points behind the
    horizon of a perspective become NaN."""
    points = np.asarray(points_N2, dtype=np.float64).reshape(-1, 2)
    homogeneous = np.concatenate([points, np.ones((len(points), 1))], axis=1)
    forward = np.linalg.inv(view.warp_B33[i])
    mapped = homogeneous @ (forward / forward[2, 2]).T
    depth = np.where(mapped[:, 2:] > 1e-9, mapped[:, 2:], np.nan)
    place = mapped[:, :2] / depth
    if view.flow_BNN2 is None or not view.flow_BNN2[i].any():
        return place
    # Output point p shows the warped image at p + flow(p): solve p = place - flow(p).
    flow, found = flow_field(view, i), place
    for _ in range(_ROUNDS):
        there = np.nan_to_num(found[:, ::-1].T - 0.5)
        found = place - np.stack(
            [map_coordinates(flow[..., k], there, order=1, mode="nearest") for k in range(2)], axis=1
        )
    return found


def warp_boxes(boxes_N4: np.ndarray, view: ImageView, i: int) -> tuple[np.ndarray, np.ndarray]:
    """Source boxes (x0, y0, x1, y1) of sample i -> their axis-aligned bounding boxes in the output, clipped to the frame, (N, 4);
    and the share of each box inside the frame, (N,): 0 for a box outside."""
    boxes = np.asarray(boxes_N4, dtype=np.float64).reshape(-1, 4)
    corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 2)
    moved = warp_points(corners, view, i).reshape(-1, 4, 2)
    hull = np.concatenate([moved.min(axis=1), moved.max(axis=1)], axis=1)
    height, width = view.size
    cut = np.clip(hull, 0, [width, height, width, height])
    area, whole = _area(cut), _area(hull)
    return cut, np.divide(area, whole, out=np.zeros_like(area), where=whole > 0)


def warp_polygon(polygon_N2: np.ndarray, view: ImageView, i: int) -> np.ndarray:
    """The vertices (x, y) of a source polygon -> the output polygon, clipped to the frame, (M, 2); empty if it lies outside.

    Source: Sutherland & Hodgman 1974, "Reentrant polygon clipping": a polygon that is clipped into several parts stays one polygon,
    whose parts are connected along the frame.
    """
    corners = warp_points(polygon_N2, view, i)
    height, width = view.size
    for axis, limit, sign in ((0, 0.0, 1), (0, float(width), -1), (1, 0.0, 1), (1, float(height), -1)):
        inside = sign * (corners[:, axis] - limit)  # distance from this edge, positive inside the frame
        kept = []
        for k in range(len(corners)):
            before, here = inside[k - 1], inside[k]
            if (before < 0) != (here < 0):
                share = before / (before - here)
                kept.append(corners[k - 1] + share * (corners[k] - corners[k - 1]))
            if here >= 0:
                kept.append(corners[k])
        corners = np.array(kept).reshape(-1, 2)
    return corners


def _area(boxes_N4: np.ndarray) -> np.ndarray:
    return np.maximum(boxes_N4[:, 2] - boxes_N4[:, 0], 0) * np.maximum(boxes_N4[:, 3] - boxes_N4[:, 1], 0)
