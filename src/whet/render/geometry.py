"""Points, boxes and polygons follow the way that the pixels took. (Masks are painted by the painters themselves.)"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import map_coordinates

from whet.core.view import ImageView
from whet.render.image_cpu import flow_field

_ROUNDS = 20  # a flow that does not fold the image is found back to a hundredth of a pixel in far fewer


def warp_points(points_N2: np.ndarray, view: ImageView, i: int) -> np.ndarray:
    """Where source points (x, y) of sample i appear in the output: float (N, 2), beyond the frame where they left it. Points
    behind a perspective's horizon become NaN."""
    points = np.asarray(points_N2, dtype=np.float64).reshape(-1, 2)
    homogeneous = np.concatenate([points, np.ones((len(points), 1))], axis=1)
    forward = np.linalg.inv(view.warp_B33[i])
    mapped = homogeneous @ (forward / forward[2, 2]).T
    depth = np.where(mapped[:, 2:] > 1e-9, mapped[:, 2:], np.nan)
    place = mapped[:, :2] / depth
    if view.flow_BNN2 is None or not view.flow_BNN2[i].any():
        return place
    # Output point p shows what lies at p + flow(p) of the warped image: solve p = place - flow(p).
    flow, found = flow_field(view, i), place
    for _ in range(_ROUNDS):
        there = np.nan_to_num(found[:, ::-1].T - 0.5)
        found = place - np.stack(
            [map_coordinates(flow[..., k], there, order=1, mode="nearest") for k in range(2)], axis=1
        )
    return found


def warp_boxes(boxes_N4: np.ndarray, view: ImageView, i: int) -> tuple[np.ndarray, np.ndarray]:
    """Source boxes (x0, y0, x1, y1) of sample i -> their upright hulls in the output, cut to the frame, (N, 4); and the share of
    each hull that is still in the frame, (N,): 0 for a box that left it."""
    boxes = np.asarray(boxes_N4, dtype=np.float64).reshape(-1, 4)
    corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 2)
    moved = warp_points(corners, view, i).reshape(-1, 4, 2)
    hull = np.concatenate([moved.min(axis=1), moved.max(axis=1)], axis=1)
    height, width = view.size
    cut = np.clip(hull, 0, [width, height, width, height])
    area, whole = _area(cut), _area(hull)
    return cut, np.divide(area, whole, out=np.zeros_like(area), where=whole > 0)


def warp_polygon(polygon_N2: np.ndarray, view: ImageView, i: int) -> np.ndarray:
    """A source polygon's corners (x, y) -> the polygon in the output cut to the frame, (M, 2); empty where it left it.

    Source: Sutherland & Hodgman 1974, "Reentrant polygon clipping": a polygon cut into several parts stays one, its parts joined
    along the frame.
    """
    corners = warp_points(polygon_N2, view, i)
    height, width = view.size
    for axis, limit, sign in ((0, 0.0, 1), (0, float(width), -1), (1, 0.0, 1), (1, float(height), -1)):
        inside = sign * (corners[:, axis] - limit)  # how far within this edge of the frame
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
