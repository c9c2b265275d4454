"""Draws class maps over images, for people."""

from __future__ import annotations

import cv2
import numpy as np

from whet.core.masks import IGNORE
from whet.core.palette import colours

_STRENGTH = 0.45
_IGNORED = (128, 128, 128)


def coloured(map_HW: np.ndarray, num_classes: int) -> np.ndarray:
    """A class map in the classes' colours, uint8 (H, W, 3); ignored pixels are grey."""
    table = np.full((256, 3), _IGNORED, dtype=np.uint8)
    table[:num_classes] = colours(num_classes)
    return table[map_HW]


def overlay(
    pixels_HW3: np.ndarray, map_HW: np.ndarray, num_classes: int, ids_HW: np.ndarray | None = None
) -> np.ndarray:
    """The image with every class but class 0 in its colour; ignored pixels are striped. Classes are outlined, or objects where
    their numbers are given, uint16."""
    found = coloured(map_HW, num_classes)
    mixed = cv2.addWeighted(pixels_HW3, 1 - _STRENGTH, found, _STRENGTH, 0)
    shown = np.where((map_HW != 0)[..., None], mixed, pixels_HW3)
    rows, columns = np.ogrid[: map_HW.shape[0], : map_HW.shape[1]]
    striped = (map_HW == IGNORE) & ((rows + columns) % 8 < 2)
    shown[striped] = _IGNORED
    edges = cv2.morphologyEx(map_HW if ids_HW is None else ids_HW, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    inner = edges & (map_HW != 0) & (map_HW != IGNORE)
    shown[inner] = found[inner]
    return shown
