"""Weights as tensors with one matrix an axis: shared by the optimizers that look at the axes one by one."""

from __future__ import annotations

import torch
from torch import Tensor


def gram(tensor: Tensor, axis: int) -> Tensor:
    """The tensor unfolded along an axis of length n, times itself transposed: (n, n)."""
    rows = unfolded(tensor, axis)
    return rows @ rows.T


def unfolded(tensor: Tensor, axis: int) -> Tensor:
    """(n, all the rest), n being the length of the axis."""
    return tensor.movedim(axis, 0).reshape(tensor.shape[axis], -1)


def along(matrix: Tensor, tensor: Tensor, axis: int) -> Tensor:
    """The matrix times the tensor along one of its axes; the shape stays."""
    return torch.tensordot(matrix, tensor, dims=([1], [axis])).movedim(0, axis)


def eigen(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues in descending order and their eigenvectors, the columns, of a symmetric matrix. In float64: in float32 LAPACK
    fails on Gram matrices with many equal eigenvalues, as those of an embedding are, most of whose rows have no gradient."""
    values, vectors = torch.linalg.eigh(matrix.double())
    return values.flip(0).to(matrix.dtype), vectors.flip(1).to(matrix.dtype).contiguous()
