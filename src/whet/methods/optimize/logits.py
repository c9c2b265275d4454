"""The gradient that reaches the logits, seen or replaced while a closure runs. What flows back from there is the product of the
network's Jacobian, transposed, with any vector. Shared by the optimizers that need the curvature of the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from whet.core.batch import Closure
from whet.core.task import ClassTask

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


def sampled_label_gradient(logits_BK: Tensor, gradient_BK: Tensor, task: ClassTask) -> Tensor:
    """What would come from the mean cross-entropy, were each label drawn from the prediction itself. The expected square of such a
    gradient is the Fisher information."""
    probs_BK = task.probs(logits_BK.to(torch.promote_types(logits_BK.dtype, torch.float32)))
    return ((probs_BK - task.sample(probs_BK)) / len(probs_BK)).to(gradient_BK.dtype)
