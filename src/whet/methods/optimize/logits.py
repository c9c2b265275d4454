"""The gradient that reaches the logits, seen or replaced while a closure runs. What flows back from there is the product of the
network's Jacobian, transposed, with any vector. Shared by the optimizers that need the curvature of the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whet.core.batch import Closure

Steer = Callable[[Tensor, Tensor], Tensor]
"""Logits (B, K) and the gradient of the loss there (B, K) -> the gradient that flows back instead."""


def steered(closure: Closure, head: nn.Module, steer: Steer) -> Tensor:
    """Run a closure with the gradient at the head's output steered; its loss. A closure that runs the network twice is steered
    twice."""

    def seen(module: nn.Module, inputs: Any, logits_BK: Tensor) -> Tensor:
        # A tensor of its own, so that hooks inside the head see what is steered.
        passed_BK = logits_BK.view_as(logits_BK)
        if passed_BK.requires_grad:
            passed_BK.register_hook(lambda gradient_BK: steer(logits_BK.detach(), gradient_BK))
        return passed_BK

    handle = head.register_forward_hook(seen)
    try:
        return closure()
    finally:
        handle.remove()


def sampled_label_gradient(logits_BK: Tensor, gradient_BK: Tensor, multi_label: bool = False) -> Tensor:
    """What would come from the mean cross-entropy, were each label drawn from the answer itself: one a sample, or each class by
    itself where several may be true. The expected square of such a gradient is the Fisher information."""
    if multi_label:
        yes_BK = logits_BK.to(torch.promote_types(logits_BK.dtype, torch.float32)).sigmoid()
        return ((yes_BK - torch.bernoulli(yes_BK)) / len(yes_BK)).to(gradient_BK.dtype)
    probs_BK = logits_BK.softmax(dim=1, dtype=torch.promote_types(logits_BK.dtype, torch.float32))
    label_B = torch.multinomial(probs_BK, 1).squeeze(1)
    sampled_BK = (probs_BK - F.one_hot(label_B, probs_BK.shape[1])) / len(probs_BK)
    return sampled_BK.to(gradient_BK.dtype)
