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


def class_rates(table_KK: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall and F1 of each class (K,) from a confusion table; the recall of a class without a true sample is NaN."""
    right, true, said = np.diag(table_KK).astype(float), table_KK.sum(axis=1), table_KK.sum(axis=0)
    precision = np.divide(right, said, out=np.zeros(len(right)), where=said > 0)
    recall = np.divide(right, true, out=np.full(len(right), np.nan), where=true > 0)
    f1 = np.divide(2 * right, true + said, out=np.zeros(len(right)), where=true + said > 0)
    return precision, recall, f1


def macro_f1(predicted_N: np.ndarray, label_N: np.ndarray) -> float:
    """The mean F1 over the classes that have a true sample."""
    _, recall, f1 = class_rates(_confusion_of_all(predicted_N, label_N))
    return float(f1[~np.isnan(recall)].mean())


def worst_recall(predicted_N: np.ndarray, label_N: np.ndarray) -> float:
    """The recall of the class that is recognised worst, among those that have a true sample."""
    return float(np.nanmin(class_rates(_confusion_of_all(predicted_N, label_N))[1]))


def log_loss_N(probs_NK: np.ndarray, label_N: np.ndarray) -> np.ndarray:
    """What each answer costs: minus the logarithm of the probability it gives to the true class."""
    return -np.log(np.clip(probs_NK[np.arange(len(label_N)), label_N], 1e-12, 1))


def _confusion_of_all(predicted_N: np.ndarray, label_N: np.ndarray) -> np.ndarray:
    """Over as many classes as are named."""
    return confusion(predicted_N, label_N, int(max(predicted_N.max(), label_N.max())) + 1)


def classification_metrics(probs_NK: np.ndarray, label_N: np.ndarray, classes: tuple[str, ...]) -> dict[str, Any]:
    """Accuracy (with Wilson interval), balanced accuracy, macro-F1, worst class, log-loss, calibration error, and per class.

    Classes without a true sample count in no mean over classes.
    """
    N, K = len(label_N), len(classes)
    table = confusion(probs_NK.argmax(axis=1), label_N, K)
    precision, recall, f1 = class_rates(table)
    right, true = np.diag(table), table.sum(axis=1)
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
        "log_loss": float(log_loss_N(probs_NK, label_N).mean()),
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
