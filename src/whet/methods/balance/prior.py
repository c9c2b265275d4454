"""The class frequencies in training as a shift of the logits, shared by the losses that correct for them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from whet.core.batch import Loss
from whet.core.errors import NoEffectError


def log_prior(counts_K: np.ndarray) -> Tensor:
    """Logarithm of the frequency of each class, (K,). Raises NoEffectError if all classes have the same size."""
    if len(set(counts_K.tolist())) == 1:
        raise NoEffectError("every class has the same number of training samples")
    n = np.maximum(counts_K, 1)
    return torch.from_numpy(np.log(n / n.sum()))


def shifted(loss: Loss, shift_K: Tensor) -> Loss:
    """The loss of the logits plus one constant per class."""
    return lambda outcome: loss(outcome.with_logits(outcome.logits_BK + shift_K.to(outcome.logits_BK)))
