"""Entropy of a prediction and divergence of two predictions: over the classes, or summed over binary labels."""

from __future__ import annotations

from torch import Tensor

from whet.core.task import ClassTask


def entropy(logits_BK: Tensor, task: ClassTask) -> Tensor:
    """Entropy of each prediction, (B,)."""
    log_p = task.log_probs(logits_BK)
    return -(log_p.exp() * log_p).flatten(1).sum(dim=1)


def kl_divergence(p_BK: Tensor, q_BK: Tensor, task: ClassTask) -> Tensor:
    """KL(p || q) of two predictions given as logits, (B,)."""
    log_p, log_q = task.log_probs(p_BK), task.log_probs(q_BK)
    return (log_p.exp() * (log_p - log_q)).flatten(1).sum(dim=1)
