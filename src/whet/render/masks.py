"""Renders masks on the CPU with the warp of their images: nearest pixel, exact positions, thread-safe.

What lies beyond the border of an image is shown mirrored in the image, but not in its mask: a mirrored object is no object.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from whet.core.masks import IGNORE, IGNORE_ID, IdMap
from whet.core.view import ImageView
from whet.render.image_cpu import CENTRE, UNCENTRE, flow_field

_FARTHEST = 32766  # the largest position in a map of 16 bits that lies outside of every image
_NO_FRACTION = np.empty(0)

Map = np.ndarray | IdMap
"""Class numbers, uint8 (H, W); or object numbers."""


def warped_map(view: ImageView, i: int, found: Map) -> Map:
    """The map of sample i as the view shows it. What shows nothing of the source is unknown: the image is mirrored there, so it may
    show an object."""
    if isinstance(found, IdMap):
        return replace(found, ids_HW=warped_mask(view, i, found.ids_HW, IGNORE_ID), covered={}, crowds=())
    return warped_mask(view, i, found, IGNORE)


def warped_mask(view: ImageView, i: int, mask_HW: np.ndarray, outside: int) -> np.ndarray:
    """The mask of sample i, (H, W) uint8 or uint16 in full source size, as the view shows it, (h, w). outside: the value of pixels
    that show nothing of the source."""
    if mask_HW.shape != tuple(view.source_size_B2[i]):
        raise ValueError(f"mask {mask_HW.shape} and image {view.source_size_B2[i]} differ in size")
    height, width = view.size
    warp, flow = view.warp_B33[i], None
    if view.flow_BNN2 is not None and view.flow_BNN2[i].any():
        flow = flow_field(view, i)
    x_W, y_H = np.arange(width) + 0.5, np.arange(height) + 0.5
    if flow is None and _upright(warp):
        columns = np.floor(warp[0, 0] * x_W + warp[0, 2]).astype(np.int64)
        rows = np.floor(warp[1, 1] * y_H + warp[1, 2]).astype(np.int64)
        return _picked(mask_HW, rows, columns, outside)
    if flow is None and not warp[2, :2].any():
        # Exact to a thousandth of a pixel, and ten times as fast as whole numbers for `remap`.
        matrix, flags = (UNCENTRE @ warp @ CENTRE)[:2], cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(
            mask_HW, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=outside
        )
    m = warp.astype(np.float32)
    x_HW, y_HW = x_W.astype(np.float32)[None], y_H.astype(np.float32)[:, None]
    if flow is not None:
        x_HW, y_HW = x_HW + flow[..., 0], y_HW + flow[..., 1]
    places = [(m[row, 0] * x_HW + m[row, 2]) + m[row, 1] * y_HW for row in (0, 1)]
    if warp[2, :2].any():
        depth = (m[2, 0] * x_HW + m[2, 2]) + m[2, 1] * y_HW
        seen = depth > 0
        places = [np.where(seen, place / np.where(seen, depth, 1), -1) for place in places]
    # remap is given whole numbers, because OpenCV rounds fractions to even halves.
    map_HW2 = np.empty((height, width, 2), dtype=np.int16)
    for axis, place in enumerate(places):
        np.floor(place, out=place)
        map_HW2[..., axis] = np.clip(place, -1, _FARTHEST, out=place)
    return cv2.remap(
        mask_HW, map_HW2, _NO_FRACTION, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=outside
    )


def _upright(warp_33: np.ndarray) -> bool:
    """Whether the warp only crops, flips and resizes."""
    return not (warp_33[2, :2].any() or warp_33[0, 1] or warp_33[1, 0])


def _picked(mask_HW: np.ndarray, row_h: np.ndarray, column_w: np.ndarray, outside: int) -> np.ndarray:
    height, width = mask_HW.shape
    inside_h, inside_w = (row_h >= 0) & (row_h < height), (column_w >= 0) & (column_w < width)
    found = mask_HW[row_h.clip(0, height - 1)].take(column_w.clip(0, width - 1), axis=1)
    found[~inside_h] = outside
    found[:, ~inside_w] = outside
    return found
