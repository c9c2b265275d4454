from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from whet.core.batch import Predictor
from whet.core.method import Method
from whet.core.outputs import Outputs
from whet.core.stages import Fits, WrapsPredictor
from whet.core.task import Task
from whet.methods.ensemble.held_out import stratified_folds
from whet.methods.ensemble.linear import ScaledLogits

_FOLDS = 5
_SHARES = np.linspace(0, 1, 11)
_CANDIDATES, _SWEEPS = 256, 4


class ThresholdTuning(
    Method,
    Fits,
    WrapsPredictor,
    family="balance",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Add an offset to the logit of each class, fitted on validation data to maximize macro-F1.

    Use when: classes are imbalanced and macro-F1 is the metric. It needs no second training.
    Do not use when: accuracy is the metric.
    Source: Narasimhan et al. 2014, "On the statistical consistency of plug-in classifiers for non-decomposable performance
    measures"; Lipton et al. 2014, arXiv:1402.1892 (thresholds for F1).
    Deviates: the offsets are found class by class in each of five folds. Their mean is multiplied by the factor from 0 to 1 that
    is best on the held-out samples. With few samples this factor is often zero, and predictions do not change.
    Shapes: logits (B, K) + offsets (K,). If samples may have several labels, each label has its own threshold at probability 1/2.
    """

    identity = None
    exceptions = {"identity": "the offsets are fitted, not set"}
    order = 60

    def fit(self, outputs: Outputs) -> dict[str, Any]:
        if not len(outputs):
            return {}
        logits_NK, targets = outputs.whole()
        target_NK = targets.probs_BK.numpy() > 0.5
        if targets.task.exclusive:
            target_NK = np.arange(targets.num_classes) == targets.probs_BK.numpy().argmax(axis=1)[:, None]
        offsets_K = best_offsets(
            logits_NK.double().numpy(), target_NK, targets.task.exclusive, stratified_folds(outputs, _FOLDS)
        )
        return {"offsets": offsets_K.tolist()}

    def wrap_predictor(self, predictor: Predictor, fitted: Mapping[str, Any], task: Task) -> Predictor:
        if not fitted:
            return predictor
        return ScaledLogits(predictor, shift=fitted["offsets"])


def best_offsets(logits_NK: np.ndarray, target_NK: np.ndarray, exclusive: bool, fold_N: np.ndarray) -> np.ndarray:
    """Offsets (K,) that increase macro-F1 on these samples and, in cross-validation over these folds, on held-out samples."""
    N, K = logits_NK.shape
    found_FK = np.zeros((_FOLDS, K))
    predicted_SNK = np.zeros((len(_SHARES), N, K), dtype=bool)
    for fold in range(_FOLDS):
        out = fold_N == fold
        found_FK[fold] = _climb(logits_NK[~out], target_NK[~out], exclusive)
        for share, predicted_NK in zip(_SHARES, predicted_SNK):
            predicted_NK[out] = _decide(logits_NK[out] + share * found_FK[fold], exclusive)
    score_S = np.array([macro_f1(predicted_NK, target_NK) for predicted_NK in predicted_SNK])
    return _SHARES[score_S.argmax()] * found_FK.mean(axis=0)  # the smallest of equally good shares


def macro_f1(predicted_NK: np.ndarray, target_NK: np.ndarray) -> float:
    """Mean F1 over the classes that occur; 1 if there are no samples."""
    right_K, target_K = (predicted_NK & target_NK).sum(axis=0), target_NK.sum(axis=0)
    seen_K = target_K > 0
    return (
        float((2 * right_K / np.maximum(target_K + predicted_NK.sum(axis=0), 1))[seen_K].mean())
        if seen_K.any()
        else 1.0
    )


def _decide(logits_NK: np.ndarray, exclusive: bool) -> np.ndarray:
    """The predicted classes, bool (N, K)."""
    if exclusive:
        return np.arange(logits_NK.shape[1]) == logits_NK.argmax(axis=1)[:, None]
    return logits_NK > 0


def _climb(logits_NK: np.ndarray, target_NK: np.ndarray, exclusive: bool) -> np.ndarray:
    """Optimizes the offsets class by class for macro-F1 until none improves it."""
    offsets_K = np.zeros(logits_NK.shape[1])
    for _ in range(_SWEEPS if exclusive else 1):
        before_K = offsets_K.copy()
        for k in range(len(offsets_K)):
            offsets_K[k] += _best_step(logits_NK + offsets_K, target_NK, k, exclusive)
        if (offsets_K == before_K).all():
            break
    return offsets_K - offsets_K.mean() if exclusive else offsets_K


def _best_step(logits_NK: np.ndarray, target_NK: np.ndarray, k: int, exclusive: bool) -> float:
    """The number to add to the logit of class k. Among equally good numbers it is the one nearest to zero."""
    # A sample is predicted as k when the number exceeds its gap. Below, it is predicted as its rival class, or as no class.
    K = logits_NK.shape[1]
    others_NK = np.where(np.arange(K) == k, -np.inf if exclusive else 0.0, logits_NK)
    rival_N = others_NK.argmax(axis=1) if exclusive else np.full(len(logits_NK), k)
    gap_N = (others_NK.max(axis=1) if exclusive else 0.0) - logits_NK[:, k]
    step_M = _between(gap_N)
    flips_N = np.searchsorted(step_M, gap_N, side="right")  # the first number above the gap
    hit_N = target_NK[np.arange(len(rival_N)), rival_N]
    predicted_KM = _left(rival_N, flips_N, K, len(step_M))
    right_KM = _left(rival_N[hit_N], flips_N[hit_N], K, len(step_M))
    predicted_KM[k] = (flips_N[:, None] <= np.arange(len(step_M))).sum(axis=0)
    right_KM[k] = (flips_N[target_NK[:, k], None] <= np.arange(len(step_M))).sum(axis=0)
    target_K = target_NK.sum(axis=0)
    f1_KM = 2 * right_KM / np.maximum(target_K[:, None] + predicted_KM, 1)
    score_M = f1_KM[target_K > 0].sum(axis=0)
    best_M = score_M >= score_M.max() - 1e-12
    return float(min(step_M[best_M], key=abs))


def _left(rival_N: np.ndarray, flips_N: np.ndarray, num_classes: int, count: int) -> np.ndarray:
    """The number of samples that each rival class keeps at each of `count` numbers, (K, count)."""
    cell_N = rival_N * (count + 1) + flips_N
    gone_KM = np.bincount(cell_N, minlength=num_classes * (count + 1)).reshape(num_classes, count + 1).cumsum(axis=1)
    return gone_KM[:, -1:] - gone_KM[:, :count]


def _between(gap_N: np.ndarray) -> np.ndarray:
    """Candidate numbers in ascending order: zero, and the midpoints between neighboring gaps (a subset if there are many)."""
    gaps = np.unique(gap_N)
    middles = (gaps[1:] + gaps[:-1]) / 2
    if len(middles) > _CANDIDATES:
        middles = middles[np.linspace(0, len(middles) - 1, _CANDIDATES).round().astype(int)]
    return np.unique(np.append(middles, 0.0))
