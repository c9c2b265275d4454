"""Operations along the axes of a weight tensor, shared by the optimizers that have one matrix per axis."""

from __future__ import annotations

import torch
from torch import Tensor


def gram(tensor: Tensor, axis: int) -> Tensor:
    """The tensor unfolded along an axis of length n, times its transpose: (n, n)."""
    rows = unfolded(tensor, axis)
    return rows @ rows.T


def unfolded(tensor: Tensor, axis: int) -> Tensor:
    """The tensor as a matrix (n, all other axes), where n is the length of the axis."""
    return tensor.movedim(axis, 0).reshape(tensor.shape[axis], -1)


def along(matrix: Tensor, tensor: Tensor, axis: int) -> Tensor:
    """The product of the matrix with the tensor along one of its axes. The shape does not change."""
    return torch.tensordot(matrix, tensor, dims=([1], [axis])).movedim(0, axis)


def eigen(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues of a symmetric matrix in descending order and their eigenvectors (the columns). Computed in float64: in float32
    LAPACK fails on Gram matrices with many equal eigenvalues, such as those of an embedding, most of whose rows have no
    gradient."""
    values, vectors = torch.linalg.eigh(matrix.double())
    return values.flip(0).to(matrix.dtype), vectors.flip(1).to(matrix.dtype).contiguous()
