"""Which parts of an image a prediction rests on: occlusion.

Source: Zeiler, Fergus 2014, arXiv:1311.2901. Every cell of a grid of 7 x 7 is covered in turn with the mean colour of the image, as
the network takes it; the evidence of the cell is how much the log-odds of the predicted class fall.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from whet.bundle import Bundle, Prepared

CELLS = 7  # on each side
COST = CELLS**2 + 1  # samples computed for one prediction with its heat
_LEAST = 1e-7  # a probability, and what lacks to 1


def has_heat(bundle: Bundle) -> bool:
    """Whether the predictions of a bundle are those of classes for whole images."""
    return bundle.medium == "image" and bundle.info["decision"]["rule"] in ("largest", "each above 0.5")


def covered(sample: Prepared) -> list[Prepared]:
    """The image with each cell covered, row by row."""
    image_HW3 = sample.tensor
    colour_3 = np.rint(image_HW3.mean(axis=(0, 1))).astype(np.uint8)
    rows, columns = (np.arange(CELLS + 1) * side // CELLS for side in image_HW3.shape[:2])
    found = []
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            without = image_HW3.copy()
            without[top:bottom, left:right] = colour_3
            found.append(replace(sample, tensor=without))
    return found


def heat_of(bundle: Bundle, p_K: np.ndarray, covered_NK: Sequence[np.ndarray]) -> dict[str, Any]:
    """class: that with the largest probability. evidence: for it, of each cell, the rows from the top."""
    k = int(p_K.argmax())
    fall_N = _log_odds(p_K[k]) - _log_odds(np.array([row_K[k] for row_K in covered_NK]))
    return {"class": bundle.classes[k], "evidence": fall_N.reshape(CELLS, CELLS).round(4).tolist()}


def _log_odds(p: np.ndarray) -> np.ndarray:
    clipped = np.clip(p.astype(np.float64), _LEAST, 1 - _LEAST)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))
