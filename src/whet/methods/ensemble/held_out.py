"""Cross-validation of a fit on validation samples, shared by the methods that are fitted on them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from whet.core.targets import ClassTargets
from whet.methods.ensemble.log_loss import log_loss

PRIOR_STD = 0.5  # prior standard deviation of the logarithm of a scale, and of a shift
_FOLDS = 5


def lowers_held_out_loss(
    apply_fitted: Callable[[Tensor, ClassTargets, Tensor], Tensor], logits_NK: Tensor, targets: ClassTargets
) -> bool:
    """Whether a fit lowers the log-loss of held-out samples in five-fold cross-validation. apply_fitted: (logits, targets to fit
    on, other logits) -> the other logits, changed by the fit."""
    fold_N = torch.from_numpy(stratified_folds(targets, _FOLDS))
    held_out_NK = logits_NK.clone()
    for fold in range(_FOLDS):
        out_N = fold_N == fold
        if out_N.any() and not out_N.all():
            held_out_NK[out_N] = apply_fitted(logits_NK[~out_N], targets[~out_N], logits_NK[out_N])
    return bool(log_loss(held_out_NK, targets) < log_loss(logits_NK, targets))


def stratified_folds(targets: ClassTargets, folds: int) -> np.ndarray:
    """A fold (0 … folds - 1) for each sample. The samples of each class are dealt to the folds in turn. With several labels, the
    first one counts."""
    first_N = targets.probs_BK.numpy().argmax(axis=1)
    fold_N = np.empty(len(first_N), dtype=np.int64)
    for k in np.unique(first_N):
        members = np.flatnonzero(first_N == k)
        fold_N[members] = np.arange(len(members)) % folds
    return fold_N
