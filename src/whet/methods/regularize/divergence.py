"""Entropy of an answer and divergence between two: over the classes, or summed over labels that are each true or not."""

from __future__ import annotations

import torch
from torch import Tensor


def log_probs(logits_BK: Tensor, multi_label: bool) -> Tensor:
    """(B, K), or (B, K, 2) for a label that is true or not."""
    if multi_label:
        return torch.stack([logits_BK, torch.zeros_like(logits_BK)], dim=2).log_softmax(dim=2)
    return logits_BK.log_softmax(dim=1)


def entropy(logits_BK: Tensor, multi_label: bool = False) -> Tensor:
    """(B,)"""
    log_p = log_probs(logits_BK, multi_label)
    return -(log_p.exp() * log_p).flatten(1).sum(dim=1)


def kl_divergence(p_BK: Tensor, q_BK: Tensor, multi_label: bool = False) -> Tensor:
    """KL(p || q) of two answers given as logits, (B,)."""
    log_p, log_q = log_probs(p_BK, multi_label), log_probs(q_BK, multi_label)
    return (log_p.exp() * (log_p - log_q)).flatten(1).sum(dim=1)
