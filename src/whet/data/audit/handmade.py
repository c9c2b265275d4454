"""Features made by hand, for a first model where no pretrained weights are at hand."""

from __future__ import annotations

import cv2
import numpy as np

from whet.data.audit.fingerprint import THUMB

CELLS, TURNS = 4, 8
_SIDE = THUMB // CELLS


def handmade_features(thumb_NHW3: np.ndarray) -> np.ndarray:
    """Of thumbnails, uint8 (N, 48, 48, 3): in each of 4 x 4 cells a histogram of gradient directions (8 turns, weighted by
    length, the square root of its shares) and the mean and spread of each colour, and of the whole a histogram of 4 x 4 x 4
    colours; float32 (N, 288). Source: Dalal & Triggs 2005 (histograms of oriented gradients), without overlapping blocks."""
    return np.stack([_of_one(thumb) for thumb in thumb_NHW3]) if len(thumb_NHW3) else np.empty((0, 288), np.float32)


def _of_one(thumb: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(thumb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    dx, dy = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    turn = ((np.arctan2(dy, dx) / np.pi % 1) * TURNS).astype(int) % TURNS
    cell_y, cell_x = np.mgrid[0:THUMB, 0:THUMB] // _SIDE
    place = ((cell_y * CELLS + cell_x) * TURNS + turn).ravel()
    directions = np.bincount(place, np.hypot(dx, dy).ravel(), CELLS * CELLS * TURNS).reshape(-1, TURNS)
    directions = np.sqrt(directions / (directions.sum(axis=1, keepdims=True) + 200))
    cells = thumb.reshape(CELLS, _SIDE, CELLS, _SIDE, 3).astype(np.float32) / 255
    colours = np.bincount((thumb // 64).reshape(-1, 3) @ [16, 4, 1], minlength=64) / THUMB**2
    parts = (directions, cells.mean(axis=(1, 3)), cells.std(axis=(1, 3)), np.sqrt(colours))
    return np.concatenate([part.ravel() for part in parts]).astype(np.float32)
