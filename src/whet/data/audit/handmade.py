"""Hand-crafted features for a first model, where no pretrained weights are available."""

from __future__ import annotations

import cv2
import numpy as np

from whet.data.audit.fingerprint import THUMB

CELLS, TURNS = 4, 8
_SIDE = THUMB // CELLS


def handmade_features(thumb_NHW3: np.ndarray) -> np.ndarray:
    """Features of thumbnails, uint8 (N, 48, 48, 3): in each of 4 x 4 cells a histogram of gradient directions (8 orientations,
    weighted by magnitude, the square root of its shares) and the mean and standard deviation of each channel, and for the whole
    thumbnail a histogram of 4 x 4 x 4 colours; float32 (N, 288). Source: Dalal & Triggs 2005 (histograms of oriented gradients),
    without overlapping blocks."""
    if not len(thumb_NHW3):
        return np.empty((0, 288), np.float32)
    parts = (_directions(thumb_NHW3), *_colours_of_cells(thumb_NHW3), _colours_of_whole(thumb_NHW3))
    return np.concatenate([part.reshape(len(thumb_NHW3), -1) for part in parts], axis=1).astype(np.float32)


def _directions(thumb_NHW3: np.ndarray) -> np.ndarray:
    dx_NHW, dy_NHW = np.empty((2, *thumb_NHW3.shape[:3]), np.float32)
    for thumb, dx, dy in zip(thumb_NHW3, dx_NHW, dy_NHW, strict=True):
        grey = cv2.cvtColor(thumb, cv2.COLOR_RGB2GRAY).astype(np.float32)
        cv2.Sobel(grey, cv2.CV_32F, 1, 0, dst=dx)
        cv2.Sobel(grey, cv2.CV_32F, 0, 1, dst=dy)
    turn_NHW = np.floor(np.arctan2(dy_NHW, dx_NHW) * (TURNS / np.pi)).astype(int) % TURNS
    cell_y, cell_x = np.mgrid[0:THUMB, 0:THUMB] // _SIDE
    turn_NHW += (cell_y * CELLS + cell_x) * TURNS
    lengths_ND = _histograms(turn_NHW, CELLS * CELLS * TURNS, np.hypot(dx_NHW, dy_NHW))
    lengths_NCT = lengths_ND.reshape(len(thumb_NHW3), -1, TURNS)
    return np.sqrt(lengths_NCT / (lengths_NCT.sum(axis=2, keepdims=True) + 200))


def _colours_of_cells(thumb_NHW3: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(means, standard deviations), each (N, 4, 4, 3), scaled to 0…1. The sums are integers below 2 ** 24: exact as float32."""
    rows_NHW = thumb_NHW3.reshape(len(thumb_NHW3), THUMB, -1).astype(np.float32)
    pool_CH = np.repeat(np.eye(CELLS, dtype=np.float32), _SIDE, axis=1)
    sums = ((pool_CH @ values).reshape(-1, CELLS, CELLS, _SIDE, 3).sum(axis=3) for values in (rows_NHW, rows_NHW**2))
    mean, square = (values.astype(float) / _SIDE**2 for values in sums)
    return mean / 255, np.sqrt(np.maximum(square - mean**2, 0)) / 255


def _colours_of_whole(thumb_NHW3: np.ndarray) -> np.ndarray:
    red, green, blue = np.moveaxis(thumb_NHW3 >> 6, 3, 0)
    return np.sqrt(_histograms((red * 16 + green * 4 + blue).astype(int), 64) / THUMB**2)


def _histograms(bin_NHW: np.ndarray, bins: int, weight_NHW: np.ndarray | None = None) -> np.ndarray:
    """One histogram per image, (N, bins)."""
    place = bin_NHW + bins * np.arange(len(bin_NHW))[:, None, None]
    weight = None if weight_NHW is None else weight_NHW.ravel()
    return np.bincount(place.ravel(), weight, bins * len(bin_NHW)).reshape(-1, bins)
