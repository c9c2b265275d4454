"""Run lengths of binary masks, as COCO writes them: column by column, zeros first; compressed into bytes, or a list.

Encoding and the compressed form are those of pycocotools. Counts are checked here, and decoded only inside the bounding box.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco

from whet.core.errors import DataError

_LONGEST = 7  # characters of a number: 35 bits
Size = tuple[int, int]
"""(height, width) in pixels."""
Cropped = tuple[int, int, np.ndarray]
"""(top, left, a mask inside its bounding box, bool); the mask is (0, 0) where there are no pixels."""


def encode(mask_HW: np.ndarray) -> bytes:
    """The compressed counts of a mask (H, W)."""
    return coco.encode(np.asfortranarray(mask_HW, dtype=np.uint8))["counts"]


def compressed(runs: Sequence[int] | np.ndarray, size: Size) -> bytes:
    """The compressed counts of run lengths that alternate between zeros and ones. DataError where they do not fill the image."""
    try:
        numbers = np.asarray(runs)
    except ValueError:  # a list within the list
        raise DataError("RLE counts must be non-negative whole numbers") from None
    runs = _checked(numbers, size)
    return coco.frPyObjects({"counts": runs.tolist(), "size": list(size)}, *size)["counts"]


def from_coco(segmentation: dict[str, Any], size: Size) -> bytes:
    """The compressed counts of a COCO segmentation with `size` and `counts` (text, bytes or a list). DataError where its size is
    not that of the image, (height, width), or where the counts do not fill it."""
    stated, counts = segmentation.get("size"), segmentation.get("counts")
    if not isinstance(stated, list | tuple) or tuple(stated) != size:
        raise DataError(f"the RLE has the size {stated}, the image [height, width] = {list(size)}")
    if isinstance(counts, list | tuple):
        return compressed(counts, size)
    if not isinstance(counts, str | bytes):
        raise DataError(f"the RLE has the counts {counts!r}; accepted: compressed text or a list of run lengths")
    try:
        plain = counts.encode("ascii") if isinstance(counts, str) else counts
    except UnicodeEncodeError:
        raise DataError("the RLE counts are not ASCII text") from None
    runs_of(plain, size)
    return plain


def runs_of(counts: bytes, size: Size) -> np.ndarray:
    """Run lengths, int64; zeros first. The inverse of `compressed`."""
    code = np.frombuffer(counts, np.uint8)
    if code.size and (code.min() < 48 or code.max() > 111 or (code[-1] - 48) & 32):
        raise DataError("the RLE counts are not in COCO's compressed form")
    return _checked(_parsed(code), size)


def _parsed(code: np.ndarray) -> np.ndarray:
    """Each number is written in characters of five bits, the lowest first, from "0"; a sixth bit says that more follow. From the
    fourth number on it is the difference from the number two places before."""
    code = code.astype(np.int64) - 48
    if not code.size:
        return code
    last = np.flatnonzero(code < 32)  # the last character of each number
    first = np.empty_like(last)
    first[0], first[1:] = 0, last[:-1] + 1
    length = last - first + 1
    if length.max() > _LONGEST:
        raise DataError("the RLE counts hold a number beyond any image")
    place = np.arange(code.size) - np.repeat(first, length)
    runs = np.add.reduceat((code & 31) << (5 * place), first)
    runs -= (code[last] >> 4 & 1) << (5 * length)
    runs[1::2].cumsum(out=runs[1::2])
    runs[2::2].cumsum(out=runs[2::2])
    return runs


def _checked(runs: np.ndarray, size: Size) -> np.ndarray:
    if runs.ndim != 1 or (runs.size and (runs.dtype.kind not in "iu" or runs.min() < 0)):
        raise DataError("RLE counts must be non-negative whole numbers")
    if runs.sum() != size[0] * size[1]:
        raise DataError(
            f"the RLE counts sum to {runs.sum()}, the image has {size[0]} x {size[1]} = {size[0] * size[1]}"
        )
    return runs.astype(np.int64)


def decode_cropped(counts: bytes, size: Size, *, checked: bool = False) -> Cropped:
    """The mask inside its bounding box. checked: whether the counts are known to fill the image."""
    height = size[0]
    runs = _parsed(np.frombuffer(counts, np.uint8)) if checked else runs_of(counts, size)
    ends = runs.cumsum()
    start, stop = ends[: len(ends) // 2 * 2 : 2], ends[1::2]
    if (runs[1::2] == 0).any():
        start, stop = start[stop > start], stop[stop > start]
    if not len(start):
        return 0, 0, np.zeros((0, 0), bool)
    left, right = int(start[0]) // height, (int(stop[-1]) - 1) // height + 1
    edges = np.empty(2 * len(start) + 2, np.int64)
    edges[0], edges[1:-1:2], edges[2:-1:2], edges[-1] = left * height, start, stop, right * height
    flat = np.repeat(np.arange(len(edges) - 1) % 2 == 1, edges[1:] - edges[:-1])
    columns_WH = flat.reshape(right - left, height)
    rows = np.asarray(columns_WH.any(axis=0))
    top, bottom = int(rows.argmax()), height - int(rows[::-1].argmax())
    return top, left, np.ascontiguousarray(columns_WH[:, top:bottom].T)
