"""Operations whose ONNX form differs from torch's, in other operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


def resized_with_antialias(
    x_BCHW: Tensor, output_size: Sequence[int], align_corners: bool, scales_h: Any = None, scales_w: Any = None
) -> Tensor:
    """torch's anti-aliased bilinear interpolation as two matrix products. ONNX's Resize with antialias differs from torch's."""
    if align_corners:
        raise ValueError("anti-aliased interpolation with align_corners has no ONNX form here")
    height, width = output_size
    rows_hH = triangle_weights(int(x_BCHW.shape[2]), int(height)).to(x_BCHW)
    columns_wW = triangle_weights(int(x_BCHW.shape[3]), int(width)).to(x_BCHW)
    return rows_hH @ x_BCHW @ columns_wW.T


def triangle_weights(side: int, size: int) -> Tensor:
    """The weight of every pixel along a side in each output pixel, float32 (size, side); rows sum to one."""
    step = side / size
    centre = (torch.arange(size, dtype=torch.float64) + 0.5) * step
    place = torch.arange(side, dtype=torch.float64) + 0.5
    weights = (1 - (place[None] - centre[:, None]).abs() / max(step, 1.0)).clamp(min=0)
    return (weights / weights.sum(dim=1, keepdim=True)).float()


DECOMPOSED: dict[Any, Callable[..., Any]] = {aten._upsample_bilinear2d_aa.default: resized_with_antialias}
