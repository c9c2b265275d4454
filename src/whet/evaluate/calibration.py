"""Calibration: confidence compared with accuracy."""

from __future__ import annotations

import numpy as np


def reliability(probs_NK: np.ndarray, label_N: np.ndarray, bins: int = 15) -> list[dict[str, float]]:
    """Samples in bins of equal width by confidence: count, mean confidence, accuracy; empty bins are left out."""
    confidence_N = probs_NK.max(axis=1)
    right_N = (probs_NK.argmax(axis=1) == label_N).astype(float)
    bin_N = np.minimum((confidence_N * bins).astype(int), bins - 1)
    found = []
    for number in range(bins):
        inside = bin_N == number
        if inside.any():
            found.append(
                {
                    "count": int(inside.sum()),
                    "confidence": float(confidence_N[inside].mean()),
                    "accuracy": float(right_N[inside].mean()),
                }
            )
    return found


def calibration_error(probs_NK: np.ndarray, label_N: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error: the mean gap between confidence and accuracy over the bins. Source: Guo et al. 2017,
    arXiv:1706.04599."""
    return sum(b["count"] * abs(b["confidence"] - b["accuracy"]) for b in reliability(probs_NK, label_N, bins)) / len(
        label_N
    )
