from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from whet.core.batch import Predictor
from whet.core.method import Method
from whet.core.stages import Fits, WrapsPredictor
from whet.core.targets import Targets
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
    """Add a number to each class's logit, found on validation data, that lifts the mean F1 over the classes.

    Use when: classes are uneven and macro-F1 is what counts; it needs no second training.
    Do not use when: plain accuracy counts.
    Source: Narasimhan et al. 2014, "On the statistical consistency of plug-in classifiers for non-decomposable performance
    measures"; Lipton et al. 2014, arXiv:1402.1892 (thresholds for F1).
    Deviates: the numbers are found class by class in turn, in each of five folds, and their mean is used to the share that does
    best on the samples left out: with few samples that share is often zero, and every answer stays as it was.
    Shapes: logits (B, K) + offsets (K,). Where several classes may be true, each has a threshold of its own at probability 1/2.
    """

    identity = None
    exceptions = {"identity": "the offsets are fitted, not set"}
    order = 60

    def fit(self, logits_NK: Tensor, targets: Targets) -> dict[str, Any]:
        true_NK = targets.probs_BK.numpy() > 0.5
        if targets.task.exclusive:
            true_NK = np.arange(targets.num_classes) == targets.probs_BK.numpy().argmax(axis=1)[:, None]
        offsets_K = best_offsets(
            logits_NK.double().numpy(), true_NK, targets.task.exclusive, stratified_folds(targets, _FOLDS)
        )
        return {"offsets": offsets_K.tolist()}

    def wrap_predictor(self, predictor: Predictor, fitted: Mapping[str, Any], task: Task) -> Predictor:
        if not fitted:
            return predictor
        return ScaledLogits(predictor, shift=fitted["offsets"])


def best_offsets(logits_NK: np.ndarray, true_NK: np.ndarray, exclusive: bool, fold_N: np.ndarray) -> np.ndarray:
    """Offsets (K,) that lift macro-F1 on these samples and, in cross-validation over these folds, on others."""
    N, K = logits_NK.shape
    found_FK = np.zeros((_FOLDS, K))
    said_SNK = np.zeros((len(_SHARES), N, K), dtype=bool)
    for fold in range(_FOLDS):
        out = fold_N == fold
        found_FK[fold] = _climb(logits_NK[~out], true_NK[~out], exclusive)
        for share, said_NK in zip(_SHARES, said_SNK):
            said_NK[out] = _decide(logits_NK[out] + share * found_FK[fold], exclusive)
    score_S = np.array([macro_f1(said_NK, true_NK) for said_NK in said_SNK])
    return _SHARES[score_S.argmax()] * found_FK.mean(axis=0)  # of equal shares the smallest


def macro_f1(said_NK: np.ndarray, true_NK: np.ndarray) -> float:
    """Mean F1 over the classes that are there; one where there are no samples."""
    right_K, true_K = (said_NK & true_NK).sum(axis=0), true_NK.sum(axis=0)
    seen_K = true_K > 0
    return float((2 * right_K / np.maximum(true_K + said_NK.sum(axis=0), 1))[seen_K].mean()) if seen_K.any() else 1.0


def _decide(logits_NK: np.ndarray, exclusive: bool) -> np.ndarray:
    """Which classes are said to be there, bool (N, K)."""
    if exclusive:
        return np.arange(logits_NK.shape[1]) == logits_NK.argmax(axis=1)[:, None]
    return logits_NK > 0


def _climb(logits_NK: np.ndarray, true_NK: np.ndarray, exclusive: bool) -> np.ndarray:
    """Class by class, the offset with the highest macro-F1 given the others', until none gets better."""
    offsets_K = np.zeros(logits_NK.shape[1])
    for _ in range(_SWEEPS if exclusive else 1):
        before_K = offsets_K.copy()
        for k in range(len(offsets_K)):
            offsets_K[k] += _best_step(logits_NK + offsets_K, true_NK, k, exclusive)
        if (offsets_K == before_K).all():
            break
    return offsets_K - offsets_K.mean() if exclusive else offsets_K


def _best_step(logits_NK: np.ndarray, true_NK: np.ndarray, k: int, exclusive: bool) -> float:
    """What to add to the logit of class k; of equally good numbers the one nearest zero."""
    # A sample is said to be k once more than its gap is added; until then it is its rival's, or nobody's.
    K = logits_NK.shape[1]
    others_NK = np.where(np.arange(K) == k, -np.inf if exclusive else 0.0, logits_NK)
    rival_N = others_NK.argmax(axis=1) if exclusive else np.full(len(logits_NK), k)
    gap_N = (others_NK.max(axis=1) if exclusive else 0.0) - logits_NK[:, k]
    step_M = _between(gap_N)
    flips_N = np.searchsorted(step_M, gap_N, side="right")  # the first number that is enough
    hit_N = true_NK[np.arange(len(rival_N)), rival_N]
    said_KM = _left(rival_N, flips_N, K, len(step_M))
    right_KM = _left(rival_N[hit_N], flips_N[hit_N], K, len(step_M))
    said_KM[k] = (flips_N[:, None] <= np.arange(len(step_M))).sum(axis=0)
    right_KM[k] = (flips_N[true_NK[:, k], None] <= np.arange(len(step_M))).sum(axis=0)
    true_K = true_NK.sum(axis=0)
    f1_KM = 2 * right_KM / np.maximum(true_K[:, None] + said_KM, 1)
    score_M = f1_KM[true_K > 0].sum(axis=0)
    best_M = score_M >= score_M.max() - 1e-12
    return float(min(step_M[best_M], key=abs))


def _left(rival_N: np.ndarray, flips_N: np.ndarray, num_classes: int, count: int) -> np.ndarray:
    """How many samples each rival has left at each of `count` numbers, (K, count)."""
    cell_N = rival_N * (count + 1) + flips_N
    gone_KM = np.bincount(cell_N, minlength=num_classes * (count + 1)).reshape(num_classes, count + 1).cumsum(axis=1)
    return gone_KM[:, -1:] - gone_KM[:, :count]


def _between(gap_N: np.ndarray) -> np.ndarray:
    """Numbers to try, ascending: zero, and the middles between neighbouring gaps (some of them where there are many)."""
    gaps = np.unique(gap_N)
    middles = (gaps[1:] + gaps[:-1]) / 2
    if len(middles) > _CANDIDATES:
        middles = middles[np.linspace(0, len(middles) - 1, _CANDIDATES).round().astype(int)]
    return np.unique(np.append(middles, 0.0))
