"""Polygons of masks: their pixels, as pycocotools rasters them; the faults for which one is left out; and the polygons of a mask.

Coordinates are (x, y) in pixels, float (P, 2), with (0, 0) at the outer corner of the first pixel. The square from (10, 10) to
(50, 50) covers 1600 pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pycocotools import mask as coco

from whet.core.rle import Cropped, Size, decode_cropped

_SCALE = 5  # pycocotools rounds coordinates to a fifth of a pixel
_FAR = 50_000.0  # pixels beyond the image: pycocotools needs memory for every pixel of an outline


def polygon_fault(points_P2: np.ndarray, size: Size) -> str:
    """Why a polygon covers nothing of the image; "" where it covers something."""
    if len(points_P2) < 3:
        return f"{len(points_P2)} points; a polygon needs at least 3"
    if not np.isfinite(points_P2).all():
        return "a coordinate that is not a finite number"
    if _is_flat(points_P2):
        return "all points on one line: no area"
    if not len(clipped(points_P2, (0.0, 0.0, float(size[1]), float(size[0])))):
        return f"outside the image of {size[1]} x {size[0]}"
    return ""


def _is_flat(points_P2: np.ndarray) -> bool:
    away = points_P2 - points_P2[0]
    far = away[np.argmax((away**2).sum(axis=1))]
    return bool(np.all(away[:, 0] * far[1] == away[:, 1] * far[0]))


def clipped(points_P2: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """The part of a polygon inside a box (x0, y0, x1, y1), by Sutherland and Hodgman 1974; (0, 2) where there is none."""
    low, high = points_P2.min(axis=0), points_P2.max(axis=0)
    if (low >= box[:2]).all() and (high <= box[2:]).all():
        return points_P2
    points = points_P2
    for axis, bound, sign in ((0, box[0], 1), (1, box[1], 1), (0, box[2], -1), (1, box[3], -1)):
        inside = sign * (points[:, axis] - bound)  # positive inside
        following, after = np.roll(points, -1, axis=0), np.roll(inside, -1)
        crosses = (inside > 0) != (after > 0)
        share = np.divide(inside, inside - after, out=np.zeros(len(points)), where=crosses)
        cut = points + share[:, None] * (following - points)
        cut[:, axis] = bound
        both = np.stack([points, cut], axis=1).reshape(-1, 2)
        points = both[np.stack([inside > 0, crosses], axis=1).ravel()]
        if not len(points):
            return np.zeros((0, 2))
    return points


def raster(polygons: Sequence[np.ndarray], size: Size) -> Cropped:
    """The union of polygons without `polygon_fault`, clipped to the image. A union that covers no pixel's centre gets the one pixel
    in its middle: nothing that is labelled vanishes."""
    height, width = size
    far = (-_FAR, -_FAR, width + _FAR, height + _FAR)
    fifths = [np.trunc(_SCALE * near + 0.5) for points in polygons if len(near := clipped(points, far)) > 2]
    if fifths:
        every = fifths[0] if len(fifths) == 1 else np.concatenate(fifths)
        (x0, y0), (x1, y1) = every.min(axis=0).tolist(), every.max(axis=0).tolist()
        left, top = (int(min(max(low // _SCALE, 0), side - 1)) for low, side in ((x0, width), (y0, height)))
        right, bottom = (
            int(min(max(x1 // _SCALE + 1, left + 1), width)),
            int(min(max(y1 // _SCALE + 1, top + 1), height)),
        )
        corner = (_SCALE * left, _SCALE * top)
        found = coco.frPyObjects([_for_pycocotools(q - corner) for q in fifths], bottom - top, right - left)
        union = coco.merge(found) if len(found) > 1 else found[0]
        row, column, mask = decode_cropped(union["counts"], (bottom - top, right - left), checked=True)
        if mask.size:
            return top + row, left + column, mask
    inside = [clipped(points, (0.0, 0.0, float(width), float(height))) for points in polygons]
    inside = [points for points in inside if len(points)]
    if not inside:
        return 0, 0, np.zeros((0, 0), bool)
    x, y = inside[0].mean(axis=0)
    return min(int(y), height - 1), min(int(x), width - 1), np.ones((1, 1), bool)


def _for_pycocotools(fifths_P2: np.ndarray) -> np.ndarray:
    """Flat coordinates that pycocotools rounds back to exactly these fifths: it truncates 5 x + 0.5 toward zero."""
    return ((fifths_P2 - np.where(fifths_P2 < 0, 0.75, 0)) / _SCALE).ravel()


def trim(top: int, left: int, mask: np.ndarray) -> Cropped:
    """The same mask inside its bounding box."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return 0, 0, np.zeros((0, 0), bool)
    inner = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return top + int(rows[0]), left + int(columns[0]), np.ascontiguousarray(inner)


def box_points(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    """The corners of a box as a polygon (4, 2)."""
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], dtype=float)


def box_of(points_P2: np.ndarray) -> tuple[float, float, float, float] | None:
    """(x0, y0, x1, y1) where a polygon is an axis-parallel box, else None."""
    points = points_P2[:-1] if len(points_P2) > 4 and (points_P2[0] == points_P2[-1]).all() else points_P2
    if len(points) != 4:
        return None
    steps = np.roll(points, -1, axis=0) - points
    along = steps != 0
    if not (along.sum(axis=1) == 1).all() or not (along[0] == along[2]).all() or not (along[0] != along[1]).all():
        return None
    return (*map(float, points.min(axis=0)), *map(float, points.max(axis=0)))  # type: ignore[return-value]
