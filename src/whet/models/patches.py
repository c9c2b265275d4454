"""Images as sequences of square patches."""

from __future__ import annotations

from torch import Tensor


def patchify(x_BCHW: Tensor, side: int) -> Tensor:
    """The patches (B, N, side * side * C), row by row; pixels of a patch row by row, the channels of a pixel together. Pixels after
    the last whole patch are left out."""
    B, C, H, W = x_BCHW.shape
    rows, columns = H // side, W // side
    cut = x_BCHW[:, :, : rows * side, : columns * side].reshape(B, C, rows, side, columns, side)
    return cut.permute(0, 2, 4, 3, 5, 1).reshape(B, rows * columns, side * side * C)


def patch_count(x_BCHW: Tensor, side: int) -> int:
    """The number of whole patches."""
    return (x_BCHW.shape[2] // side) * (x_BCHW.shape[3] // side)
