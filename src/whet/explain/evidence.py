"""The evidence: the number that every explanation is about."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from whet.core.errors import WhetError
from whet.models.ensemble import Member


class CannotExplain(WhetError):
    """A network that the explanation method of its medium does not support."""


def evidence(member: Member, x: Tensor, k: int) -> Tensor:
    """The logit of class k minus the mean logit of all classes, (B,); for multi-label tasks the logit itself.

    The mean is subtracted because adding a constant to all logits changes no probability, so it must not be part of an explanation.
    With two classes the evidence for one is the negative evidence for the other.
    """
    logits_BK = member(x)
    if not member.net.task.exclusive:
        return logits_BK[:, k]
    return logits_BK[:, k] - logits_BK.mean(dim=1)


@contextlib.contextmanager
def with_gradients(net: nn.Module) -> Iterator[None]:
    """Within the block, the network is in evaluation mode with gradients enabled, but not accumulated in its parameters."""
    training = net.training
    net.eval()
    try:
        with torch.enable_grad():
            yield
    finally:
        net.train(training)
