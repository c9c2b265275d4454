"""Observes or replaces the gradient at the logits while a closure runs. The backward pass from there is the product of the
transposed Jacobian of the network with any vector. Shared by the optimizers that need the curvature of the predictions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from whet.core.batch import Closure
from whet.core.task import ClassTask

Steer = Callable[[Tensor, Tensor], Tensor]
"""Logits (B, K) and the gradient of the loss at them (B, K) -> the gradient to use instead in the backward pass."""


def steered(closure: Closure, head: nn.Module, steer: Steer) -> Tensor:
    """Runs a closure with the gradient at the head's output replaced by `steer`, and returns its loss. If the closure runs the
    network twice, both gradients are replaced."""

    def seen(module: nn.Module, inputs: Any, logits_BK: Tensor) -> Tensor:
        # A separate tensor, so that hooks inside the head receive the replaced gradient.
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
    """The gradient of the mean cross-entropy for labels sampled from the predictions. Its expected square is the Fisher
    information."""
    probs_BK = task.probs(logits_BK.to(torch.promote_types(logits_BK.dtype, torch.float32)))
    return ((probs_BK - task.sample(probs_BK)) / len(probs_BK)).to(gradient_BK.dtype)
