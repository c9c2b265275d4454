"""Precision, recall and F1 of classes, and confidence intervals of a proportion and of a metric of images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import ndtri, stdtrit

from whet.core.evidence import Evidence, pseudo_values

Z_95 = float(ndtri(0.975))


def wilson_interval(successes: float, trials: float, z: float = Z_95) -> tuple[float, float]:
    """Wilson's score interval of a proportion, by default 95 %; (0, 1) for no trials. z: the normal quantile of its level.
    Source: Wilson 1927."""
    if trials == 0:
        return 0.0, 1.0
    p = successes / trials
    centre = (p + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * float(np.sqrt(p * (1 - p) / trials + z * z / (4 * trials**2)))
    return max(0.0, centre - half), min(1.0, centre + half)


def rates(
    right_K: np.ndarray, true_K: np.ndarray, predicted_K: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall and F1 of each class (K,), from the numbers of correct predictions, of samples and of predictions per
    class; the recall of a class without samples is NaN."""
    right = right_K.astype(float)
    precision = np.divide(right, predicted_K, out=np.zeros(len(right)), where=predicted_K > 0)
    recall = np.divide(right, true_K, out=np.full(len(right), np.nan), where=true_K > 0)
    f1 = np.divide(2 * right, true_K + predicted_K, out=np.zeros(len(right)), where=true_K + predicted_K > 0)
    return precision, recall, f1


def jackknife_interval(value: Callable[[Any], float], evidence: Evidence) -> list[float] | None:
    """The 95 % interval of a metric between 0 and 1, by the jackknife over images; None for fewer than two images, and where the
    metric is not defined without some of them."""
    if len(evidence) < 2:
        return None
    values_G = pseudo_values(value, evidence, groups=min(len(evidence), 100))
    half = float(stdtrit(len(values_G) - 1, 0.975) * values_G.std(ddof=1) / len(values_G) ** 0.5)
    middle = value(evidence)
    return [max(0.0, middle - half), min(1.0, middle + half)] if np.isfinite(half) else None
