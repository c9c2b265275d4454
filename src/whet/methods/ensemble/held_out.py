"""Cross-validation of a fit on validation samples, shared by the methods that are fitted on them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from whet.core.outputs import Outputs
from whet.methods.ensemble.log_loss import losses

PRIOR_STD = 0.5  # prior standard deviation of the logarithm of a scale, and of a shift
_FOLDS = 5


def lowers_held_out_loss(fit: Callable[[Outputs], Callable[[Tensor], Tensor]], outputs: Outputs) -> bool:
    """Whether a fit lowers the log-loss of held-out samples in five-fold cross-validation. fit: outputs to fit on -> the change of
    other outputs."""
    fold_N = stratified_folds(outputs, _FOLDS)
    plain_N = losses(outputs)
    held_out_N = plain_N.clone()
    for fold in range(_FOLDS):
        out_N = fold_N == fold
        if out_N.any() and not out_N.all():
            change = fit(outputs.rows(~out_N))
            held_out_N[torch.from_numpy(out_N)] = losses(outputs.rows(out_N).through(change))
    return bool(held_out_N.mean() < plain_N.mean())


def stratified_folds(outputs: Outputs, folds: int) -> np.ndarray:
    """A fold (0 … folds - 1) for each sample. The samples of each class are dealt to the folds in turn. With several labels, the
    first one counts."""
    first_N = np.concatenate([chunk.targets.probs_BK.numpy().argmax(axis=1) for chunk in outputs])
    fold_N = np.empty(len(first_N), dtype=np.int64)
    for k in np.unique(first_N):
        members = np.flatnonzero(first_N == k)
        fold_N[members] = np.arange(len(members)) % folds
    return fold_N
