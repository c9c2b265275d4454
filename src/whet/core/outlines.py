"""The polygons of a mask, along the edges of its pixels."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

_RIGHT, _DOWN, _LEFT, _UP = range(4)


def polygons_of(mask_HW: np.ndarray) -> list[np.ndarray]:
    """Polygons (P, 2) float of (x, y) whose union covers exactly the pixels of the mask, under pycocotools' rasterisation too.

    One polygon for each 4-connected part. A part with holes is cut along rows through them, because the polygons of an object are a
    union in COCO: none of them can be a hole."""
    label_HW, count = ndimage.label(mask_HW)
    found = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(label_HW, count), start=1):
        corner = np.array([columns.start, rows.start], dtype=float)
        found += [ring + corner for ring in _without_holes(label_HW[rows, columns] == number)]
    return found


def _without_holes(part_HW: np.ndarray) -> list[np.ndarray]:
    rings = _rings(part_HW)
    holes = [ring for ring in rings if _signed_area(ring) < 0]
    if not holes:
        return rings
    middles = [int(ring[:, 1].min() + ring[:, 1].max()) // 2 for ring in holes]
    row = min(middles, key=lambda middle: abs(middle - len(part_HW) / 2))
    below = [ring + (0.0, row) for ring in polygons_of(part_HW[row:])]
    return polygons_of(part_HW[:row]) + below


def _signed_area(ring_P2: np.ndarray) -> float:
    """Positive for an outline, negative for a hole."""
    x, y = ring_P2.T
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)


def _rings(mask_HW: np.ndarray) -> list[np.ndarray]:
    """The closed boundaries, with the mask on the right-hand side; only the corners. Pixels that touch at a corner are apart."""
    padded = np.pad(mask_HW.astype(bool), 1)
    inner = padded[1:-1, 1:-1]
    above, below, before, after = padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]
    runs: tuple[dict, dict, dict, dict] = ({}, {}, {}, {})  # by direction: start corner -> end corner, (x, y)
    for y, x0, x1 in _stretches(inner & ~above):
        runs[_RIGHT][x0, y] = (x1, y)
    for y, x0, x1 in _stretches(inner & ~below):
        runs[_LEFT][x1, y + 1] = (x0, y + 1)
    for x, y0, y1 in _stretches((inner & ~after).T):
        runs[_DOWN][x + 1, y0] = (x + 1, y1)
    for x, y0, y1 in _stretches((inner & ~before).T):
        runs[_UP][x, y1] = (x, y0)
    rings = []
    while runs[_RIGHT]:  # every ring has a stretch to the right
        corner, direction, ring = next(iter(runs[_RIGHT])), _RIGHT, []
        while corner in runs[direction]:
            ring.append(corner)
            corner = runs[direction].pop(corner)
            right, left = (direction + 1) % 4, (direction - 1) % 4
            direction = right if corner in runs[right] else left
        rings.append(np.array(ring, dtype=float))
    return rings


def _stretches(edge: np.ndarray) -> list[tuple[int, int, int]]:
    """(row, start, stop) of each run of True along the rows."""
    change = np.diff(np.pad(edge, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    row, start = np.nonzero(change == 1)
    stop = np.nonzero(change == -1)[1]
    return list(zip(row.tolist(), start.tolist(), stop.tolist()))
