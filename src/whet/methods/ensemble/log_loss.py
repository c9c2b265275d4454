"""The log-loss of predictions on validation samples, shared by the methods that are fitted on them."""

from __future__ import annotations

import torch
from torch import Tensor

from whet.core.outputs import Outputs
from whet.core.targets import ClassTargets


def log_loss(logits_NK: Tensor, targets: ClassTargets) -> Tensor:
    """The mean over the samples of the cross-entropy, or of the summed binary cross-entropies if samples may have several
    labels."""
    return targets.task.loss(logits_NK, targets).mean()


def losses(outputs: Outputs) -> Tensor:
    """The terms of this mean, one per sample (N,), in the precision of the outputs."""
    found = []
    for chunk in outputs:
        targets = chunk.targets.having(chunk.targets.probs_BK.to(chunk.outputs.dtype))
        found.append(targets.task.loss(chunk.outputs, targets))
    return torch.cat(found)
