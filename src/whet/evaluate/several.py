"""Metrics where a sample may have several classes. All take which are said, bool (N, K), or probabilities (N, K), and which are
true, bool (N, K).

What stands where, as scikit-learn and the field have it: accuracy is that of whole label sets (every label right and none besides);
hamming_accuracy the share of all decisions, one a sample and class, that are right; F1 of a class is that of saying it; the mean
average precision judges the order of the probabilities, without a threshold; log-loss is the mean binary cross-entropy of a
decision; the calibration error is over all decisions. A class is said where its probability is above one half.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from whet.evaluate.calibration import calibration_error
from whet.evaluate.rates import rates, wilson_interval

LOG_LEAST = 1e-12


def set_right_N(said_NK: np.ndarray, true_NK: np.ndarray) -> np.ndarray:
    """Whether each sample has every label right and none besides, bool (N,)."""
    return (said_NK == true_NK).all(axis=1)


def hamming_accuracy_N(said_NK: np.ndarray, true_NK: np.ndarray) -> np.ndarray:
    """The share of each sample's decisions that are right, (N,)."""
    return (said_NK == true_NK).mean(axis=1)


def rates_of_labels(said_NK: np.ndarray, true_NK: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall and F1 of each class (K,); see `rates.rates`."""
    return rates((said_NK & true_NK).sum(axis=0), true_NK.sum(axis=0), said_NK.sum(axis=0))


def micro_f1(said_NK: np.ndarray, true_NK: np.ndarray) -> float:
    """F1 over all decisions together; 1 where nothing is true and nothing said."""
    both = int(true_NK.sum() + said_NK.sum())
    return 2 * float((said_NK & true_NK).sum()) / both if both else 1.0


def average_precision_K(probs_NK: np.ndarray, true_NK: np.ndarray) -> np.ndarray:
    """The area below each class's precision over its recall, as steps, (K,); of a class without a true sample NaN."""
    from sklearn.metrics import average_precision_score

    found_K = np.full(true_NK.shape[1], np.nan)
    for k in np.flatnonzero(true_NK.any(axis=0)):
        found_K[k] = average_precision_score(true_NK[:, k], probs_NK[:, k])
    return found_K


def mean_average_precision(probs_NK: np.ndarray, true_NK: np.ndarray) -> float:
    """Over the classes that have a true sample; 0 where none has."""
    found_K = average_precision_K(probs_NK, true_NK)
    return float(np.nanmean(found_K)) if (~np.isnan(found_K)).any() else 0.0


def binary_log_loss_N(probs_NK: np.ndarray, true_NK: np.ndarray) -> np.ndarray:
    """The mean binary cross-entropy of each sample's decisions, (N,)."""
    given_NK = np.where(true_NK, probs_NK, 1 - probs_NK)
    return -np.log(np.clip(given_NK, LOG_LEAST, 1)).mean(axis=1)


def decisions(probs_NK: np.ndarray, true_NK: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every decision as an answer of two classes, no and yes: (probabilities (N K, 2), class numbers (N K,))."""
    yes = probs_NK.ravel()
    return np.stack([1 - yes, yes], axis=1), true_NK.ravel().astype(np.int64)


def label_set_metrics(probs_NK: np.ndarray, true_NK: np.ndarray, classes: tuple[str, ...]) -> dict[str, Any]:
    """What `classification_metrics` gives of one class a sample, of label sets: the same names mean what this file says. Means over
    classes leave out those without a true sample."""
    N, K = true_NK.shape
    said_NK = probs_NK > 0.5
    precision, recall, f1 = rates_of_labels(said_NK, true_NK)
    right, true, said = (said_NK & true_NK).sum(axis=0), true_NK.sum(axis=0), said_NK.sum(axis=0)
    average_precision = average_precision_K(probs_NK, true_NK)
    seen, whole = true > 0, int(set_right_N(said_NK, true_NK).sum())
    worst = int(np.nanargmin(recall)) if seen.any() else 0
    return {
        "samples": N,
        "accuracy": whole / N,
        "accuracy_interval": list(wilson_interval(whole, N)),
        "hamming_accuracy": float(hamming_accuracy_N(said_NK, true_NK).mean()),
        "balanced_accuracy": _mean(recall),
        "macro_f1": _mean(f1[seen]),
        "micro_f1": micro_f1(said_NK, true_NK),
        "mean_average_precision": mean_average_precision(probs_NK, true_NK),
        "worst_class": {"name": classes[worst], "recall": float(np.nan_to_num(recall[worst]))},
        "log_loss": float(binary_log_loss_N(probs_NK, true_NK).mean()),
        "calibration_error": calibration_error(*decisions(probs_NK, true_NK)),
        "labels_a_sample": {"true": float(true_NK.sum() / N), "said": float(said_NK.sum() / N)},
        "per_class": [
            {
                "name": classes[k],
                "samples": int(true[k]),
                "precision": float(precision[k]),
                "recall": float(recall[k]) if seen[k] else None,
                "recall_interval": list(wilson_interval(right[k], true[k])),
                "f1": float(f1[k]),
                "average_precision": float(average_precision[k]) if seen[k] else None,
                "missed": int(true[k] - right[k]),
                "said_wrongly": int(said[k] - right[k]),
            }
            for k in range(K)
        ],
    }


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else 0.0
