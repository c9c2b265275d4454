"""Metrics of a classifier with their intervals. All take probabilities (N, K) and class numbers (N,)."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import norm

from whet.evaluate.calibration import calibration_error


def softmax(logits_NK: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits_NK - logits_NK.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def wilson_interval(successes: float, trials: float, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion; (0, 1) where nothing was tried. Source: Wilson 1927."""
    if trials == 0:
        return 0.0, 1.0
    z = float(norm.ppf(0.5 + level / 2))
    p = successes / trials
    centre = (p + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * float(np.sqrt(p * (1 - p) / trials + z * z / (4 * trials**2)))
    return max(0.0, centre - half), min(1.0, centre + half)


def confusion(predicted_N: np.ndarray, label_N: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts (K, K): rows are the true class, columns the predicted one."""
    return np.bincount(label_N * num_classes + predicted_N, minlength=num_classes**2).reshape(num_classes, num_classes)


def classification_metrics(probs_NK: np.ndarray, label_N: np.ndarray, classes: tuple[str, ...]) -> dict[str, Any]:
    """Accuracy (with Wilson interval), balanced accuracy, macro-F1, worst class, log-loss, calibration error, and per class.

    Classes without a true sample count in no mean over classes.
    """
    N, K = len(label_N), len(classes)
    predicted_N = probs_NK.argmax(axis=1)
    table = confusion(predicted_N, label_N, K)
    right, true, said = np.diag(table).astype(float), table.sum(axis=1), table.sum(axis=0)
    recall = np.divide(right, true, out=np.full(K, np.nan), where=true > 0)
    precision = np.divide(right, said, out=np.zeros(K), where=said > 0)
    f1 = np.divide(2 * right, true + said, out=np.zeros(K), where=true + said > 0)
    seen = true > 0
    worst = int(np.nanargmin(recall))
    low, high = wilson_interval(right.sum(), N)
    return {
        "samples": N,
        "accuracy": float(right.sum() / N),
        "accuracy_interval": [low, high],
        "balanced_accuracy": float(np.nanmean(recall)),
        "macro_f1": float(f1[seen].mean()),
        "worst_class": {"name": classes[worst], "recall": float(recall[worst])},
        "log_loss": float(-np.log(np.clip(probs_NK[np.arange(N), label_N], 1e-12, 1)).mean()),
        "calibration_error": calibration_error(probs_NK, label_N),
        "per_class": [
            {
                "name": classes[k],
                "samples": int(true[k]),
                "precision": float(precision[k]),
                "recall": float(recall[k]) if seen[k] else None,
                "recall_interval": list(wilson_interval(right[k], true[k])),
                "f1": float(f1[k]),
            }
            for k in range(K)
        ],
        "confusion": table.tolist(),
    }
