"""The kernels of the filters, shared by both renderers."""

from __future__ import annotations

import math

import numpy as np


def gaussian_size(sigma: float) -> int:
    """Odd width of a Gaussian kernel with three standard deviations on either side, as in OpenCV for uint8."""
    return round(sigma * 6 + 1) | 1


def gaussian_kernel(sigma: float, size: int) -> np.ndarray:
    """Weights float32 (size,), zero outside the kernel's own width."""
    place = np.arange(size) - size // 2
    weight = np.exp(-(place**2) / (2 * sigma**2)) * (np.abs(place) <= gaussian_size(sigma) // 2)
    return (weight / weight.sum()).astype(np.float32)


def motion_kernel(length: float, degrees: float, size: int | None = None) -> np.ndarray:
    """A straight line of this length through the centre, counter-clockwise from the right; weights float32 (size, size) that sum
    to one."""
    size = size or 2 * math.ceil(length / 2) + 1
    along = np.linspace(-length / 2, length / 2, 4 * size)
    x = size // 2 + along * math.cos(math.radians(degrees))
    y = size // 2 - along * math.sin(math.radians(degrees))
    left, top = np.floor(x + 1e-9).astype(int), np.floor(y + 1e-9).astype(int)
    right, lower = x - left, y - top
    shares = [(1 - right) * (1 - lower), right * (1 - lower), (1 - right) * lower, right * lower]
    first, side = top * (size + 1) + left, size + 1
    cells = np.concatenate([first, first + 1, first + side, first + side + 1])
    kernel = np.bincount(cells, np.abs(np.concatenate(shares)), side * side).reshape(side, side)[:size, :size]
    return (kernel / kernel.sum()).astype(np.float32)


def without_empty_edges(kernel: np.ndarray) -> np.ndarray:
    """Crop the outer rows and columns that are zero on both sides: a horizontal line needs few rows."""
    middle = len(kernel) // 2
    filled = [np.flatnonzero(kernel.any(axis=1 - axis)) for axis in (0, 1)]
    reach = [max(middle - int(places[0]), int(places[-1]) - middle) for places in filled]
    return kernel[middle - reach[0] : middle + reach[0] + 1, middle - reach[1] : middle + reach[1] + 1]
