"""What answers to validation samples cost: shared by the methods that are fitted to them."""

from __future__ import annotations

from torch import Tensor

from whet.core.targets import Targets


def log_loss(logits_NK: Tensor, targets: Targets) -> Tensor:
    """The mean over the samples of the cross-entropy, or of the sum of the binary ones where several classes may be true."""
    return targets.task.loss(logits_NK, targets).mean()
