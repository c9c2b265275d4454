"""Whether a fit to validation samples is worth keeping: shared by the methods that are fitted to them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from whet.core.targets import Targets
from whet.methods.ensemble.log_loss import log_loss

PRIOR_STD = 0.5  # of the logarithm of a scale, and of a shift, before any sample is seen
_FOLDS = 5


def gains(apply_fitted: Callable[[Tensor, Targets, Tensor], Tensor], logits_NK: Tensor, targets: Targets) -> bool:
    """Whether a fit lowers the log-loss of samples it did not see, in five folds. apply_fitted: (logits, targets to fit to, other
    logits) -> the other logits as the fit makes them."""
    fold_N = torch.from_numpy(turns(targets, _FOLDS))
    held_NK = logits_NK.clone()
    for fold in range(_FOLDS):
        out_N = fold_N == fold
        if out_N.any() and not out_N.all():
            held_NK[out_N] = apply_fitted(logits_NK[~out_N], targets[~out_N], logits_NK[out_N])
    return bool(log_loss(held_NK, targets) < log_loss(logits_NK, targets))


def turns(targets: Targets, folds: int) -> np.ndarray:
    """A fold (0 … folds - 1) for each sample; the samples of a class (of several, the first) take turns."""
    first_N = targets.probs_BK.numpy().argmax(axis=1)
    fold_N = np.empty(len(first_N), dtype=np.int64)
    for k in np.unique(first_N):
        members = np.flatnonzero(first_N == k)
        fold_N[members] = np.arange(len(members)) % folds
    return fold_N
