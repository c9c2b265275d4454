"""The log-loss of predictions on validation samples, shared by the methods that are fitted on them."""

from __future__ import annotations

from torch import Tensor

from whet.core.targets import ClassTargets


def log_loss(logits_NK: Tensor, targets: ClassTargets) -> Tensor:
    """The mean over the samples of the cross-entropy, or of the summed binary cross-entropies if samples may have several
    labels."""
    return targets.task.loss(logits_NK, targets).mean()
