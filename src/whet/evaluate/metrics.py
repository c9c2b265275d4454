"""Metrics of a classifier with their intervals. All take probabilities (N, K), or what is said, and what is true: class numbers
(N,); or, where a sample may have several classes, which are true, bool (N, K), and then mean what `several.py` says."""

from __future__ import annotations

from typing import Any

import numpy as np

from whet.core.labels import names_of
from whet.evaluate import calibration
from whet.evaluate.rates import rates, wilson_interval
from whet.evaluate.several import (
    LOG_LEAST,
    binary_log_loss_N,
    decisions,
    label_set_metrics,
    rates_of_labels,
    set_right_N,
)

__all__ = [
    "answer_of", "calibration_error", "class_rates", "classification_metrics", "confusion", "decided", "log_loss_N", "macro_f1",
    "probabilities", "right_N", "softmax", "wilson_interval", "worst_recall",
]  # fmt: skip


def softmax(logits_NK: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits_NK - logits_NK.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def probabilities(logits_NK: np.ndarray, multi_label: bool) -> np.ndarray:
    """Of the classes, one of which is true; or of each by itself, where several may be. float64 (N, K)."""
    from scipy.special import expit

    return expit(logits_NK) if multi_label else softmax(logits_NK)


def decided(probs_NK: np.ndarray, multi_label: bool) -> np.ndarray:
    """The likeliest class (N,); or which are likelier than not, bool (N, K), where several may be true."""
    return probs_NK > 0.5 if multi_label else probs_NK.argmax(axis=1)


def answer_of(probs_K: np.ndarray, classes: tuple[str, ...], multi_label: bool) -> tuple[str | list[str], float]:
    """(the likeliest class, its probability); or, where several may be true, (the names of those likelier than not, the probability
    of that label set, its decisions taken as independent)."""
    if multi_label:
        return names_of(decided(probs_K, True), classes), float(np.maximum(probs_K, 1 - probs_K).prod())
    k = int(probs_K.argmax())
    return classes[k], float(probs_K[k])


def confusion(predicted_N: np.ndarray, label_N: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts (K, K): rows are the true class, columns the predicted one."""
    return np.bincount(label_N * num_classes + predicted_N, minlength=num_classes**2).reshape(num_classes, num_classes)


def class_rates(table_KK: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall and F1 of each class (K,) from a confusion table; the recall of a class without a true sample is NaN."""
    return rates(np.diag(table_KK), table_KK.sum(axis=1), table_KK.sum(axis=0))


def right_N(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Whether each sample was answered rightly, bool (N,); where it may have several classes, in all of them."""
    return set_right_N(predicted, truth) if truth.ndim == 2 else predicted == truth


def macro_f1(predicted: np.ndarray, truth: np.ndarray) -> float:
    """The mean F1 over the classes that have a true sample."""
    _, recall, f1 = _rates_of_all(predicted, truth)
    return float(f1[~np.isnan(recall)].mean())


def worst_recall(predicted: np.ndarray, truth: np.ndarray) -> float:
    """The recall of the class that is recognised worst, among those that have a true sample."""
    return float(np.nanmin(_rates_of_all(predicted, truth)[1]))


def log_loss_N(probs_NK: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """What each answer costs: minus the logarithm of the probability it gives to the true class."""
    if truth.ndim == 2:
        return binary_log_loss_N(probs_NK, truth)
    return -np.log(np.clip(probs_NK[np.arange(len(truth)), truth], LOG_LEAST, 1))


def calibration_error(probs_NK: np.ndarray, truth: np.ndarray) -> float:
    """The mean gap between confidence and truth, of answers or, where several classes may be true, of decisions."""
    return calibration.calibration_error(*(decisions(probs_NK, truth) if truth.ndim == 2 else (probs_NK, truth)))


def _rates_of_all(predicted: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return rates_of_labels(predicted, truth) if truth.ndim == 2 else class_rates(_confusion_of_all(predicted, truth))


def _confusion_of_all(predicted_N: np.ndarray, label_N: np.ndarray) -> np.ndarray:
    """Over as many classes as are named."""
    return confusion(predicted_N, label_N, int(max(predicted_N.max(), label_N.max())) + 1)


def classification_metrics(probs_NK: np.ndarray, truth: np.ndarray, classes: tuple[str, ...]) -> dict[str, Any]:
    """Accuracy (with Wilson interval), balanced accuracy, macro-F1, worst class, log-loss, calibration error, and per class.

    Classes without a true sample count in no mean over classes.
    """
    if truth.ndim == 2:
        return label_set_metrics(probs_NK, truth, classes)
    label_N = truth
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
