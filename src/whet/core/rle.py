"""Run lengths of binary masks, as COCO writes them: column by column, zeros first; compressed into bytes, or a list.

Encoding and the compressed form are those of pycocotools. Counts are checked here, and decoded only inside the bounding box.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco

from whet.core.errors import DataError

Size = tuple[int, int]
"""(height, width) in pixels."""
Cropped = tuple[int, int, np.ndarray]
"""(top, left, a mask inside its bounding box, bool); the mask is (0, 0) where there are no pixels."""


def encode(mask_HW: np.ndarray) -> bytes:
    """The compressed counts of a mask (H, W)."""
    return coco.encode(np.asfortranarray(mask_HW, dtype=np.uint8))["counts"]


def compressed(runs: Sequence[int] | np.ndarray, size: Size) -> bytes:
    """The compressed counts of run lengths that alternate between zeros and ones. DataError where they do not fill the image."""
    runs = _checked(np.asarray(runs), size)
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
    """Run lengths, int64; zeros first. The inverse of `compressed`.

    Each number is written in characters of five bits, the lowest first, from "0"; a sixth bit says that more follow. From the
    fourth number on it is the difference from the number two places before."""
    code = np.frombuffer(counts, np.uint8).astype(np.int64) - 48
    if not code.size:
        return _checked(code, size)
    if code.min() < 0 or code.max() > 63 or code[-1] & 32:
        raise DataError("the RLE counts are not in COCO's compressed form")
    last = np.flatnonzero(code & 32 == 0)  # the last character of each number
    first = np.concatenate([[0], last[:-1] + 1]).astype(np.int64)
    place = np.arange(code.size) - np.repeat(first, last - first + 1)
    if place.max() > 6:  # 35 bits
        raise DataError("the RLE counts hold a number beyond any image")
    runs = np.add.reduceat((code & 31) << (5 * place), first)
    runs = runs - np.where(code[last] & 16, 1 << (5 * (place[last] + 1)), 0)
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return _checked(runs, size)


def _checked(runs: np.ndarray, size: Size) -> np.ndarray:
    if runs.ndim != 1 or (runs.size and (runs.dtype.kind not in "iu" or runs.min() < 0)):
        raise DataError("RLE counts must be non-negative whole numbers")
    if runs.sum() != size[0] * size[1]:
        raise DataError(
            f"the RLE counts sum to {runs.sum()}, the image has {size[0]} x {size[1]} = {size[0] * size[1]}"
        )
    return runs.astype(np.int64)


def decode_cropped(counts: bytes, size: Size) -> Cropped:
    """The mask inside its bounding box."""
    height = size[0]
    ends = np.cumsum(runs_of(counts, size))
    start, stop = ends[0::2], ends[1::2]
    start = start[: len(stop)]
    start, stop = start[stop > start], stop[stop > start]
    if not len(start):
        return 0, 0, np.zeros((0, 0), bool)
    left, right = int(start[0]) // height, (int(stop[-1]) - 1) // height + 1
    edges = np.stack([start, stop], axis=1).ravel() - left * height
    lengths = np.diff(edges, prepend=0, append=(right - left) * height)
    flat = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    columns_WH = flat.reshape(right - left, height)
    rows = np.flatnonzero(columns_WH.any(axis=0))
    return int(rows[0]), left, np.ascontiguousarray(columns_WH[:, rows[0] : rows[-1] + 1].T)
