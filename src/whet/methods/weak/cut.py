"""GrabCut: which of the pixels of an image belong to an object, by colour models of object and background and a cut of a graph.

Source: Rother, Kolmogorov, Blake 2004, "GrabCut"; OpenCV's implementation.
"""

from __future__ import annotations

import cv2
import numpy as np


def cut(
    pixels_HWC: np.ndarray, object_HW: np.ndarray, outside_HW: np.ndarray, iterations: int, side: int
) -> np.ndarray | None:
    """The pixels of the object, bool (H, W). object_HW: where it probably is; outside_HW: where it certainly is not; elsewhere it
    probably is not. Larger images are reduced to `side` pixels, as the time grows faster than the area. The same in any thread.
    None where one of the two has no pixel to learn its colours from."""
    shrink = min(1.0, side / max(pixels_HWC.shape[:2]))
    height, width = (max(1, round(length * shrink)) for length in pixels_HWC.shape[:2])
    small = cv2.resize(pixels_HWC, (width, height), interpolation=cv2.INTER_AREA)
    seed_HW = np.where(object_HW, cv2.GC_PR_FGD, cv2.GC_PR_BGD)
    seed_HW[outside_HW] = cv2.GC_BGD
    seed_hw: np.ndarray = cv2.resize(seed_HW.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    if len(np.unique(seed_hw & 1)) < 2:
        return None
    cv2.setRNGSeed(0)  # of this thread: the colour models start from random clusters
    models = np.zeros((1, 65)), np.zeros((1, 65))
    whole_image = (0, 0, 1, 1)  # not looked at with a mask
    cv2.grabCut(np.ascontiguousarray(small), seed_hw, whole_image, *models, iterations, cv2.GC_INIT_WITH_MASK)
    found: np.ndarray = cv2.resize(seed_hw & 1, pixels_HWC.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0
    return found
