"""What answers to validation samples cost: shared by the methods that are fitted to them."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from whet.core.targets import Targets


def log_loss(logits_NK: Tensor, targets: Targets) -> Tensor:
    """The mean over the samples of the cross-entropy, or of the sum of the binary ones where several classes may be true."""
    if targets.multi_label:
        return F.binary_cross_entropy_with_logits(logits_NK, targets.probs_BK, reduction="none").sum(dim=1).mean()
    return -(targets.probs_BK * F.log_softmax(logits_NK, dim=1)).sum(dim=1).mean()
