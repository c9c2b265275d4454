"""What every explanation is about: one number that says how much speaks for a class."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from whet.core.errors import WhetError
from whet.models.ensemble import Member


class CannotExplain(WhetError):
    """A network whose answer cannot be taken apart in the way that is known for its medium."""


def evidence(member: Member, x: Tensor, k: int) -> Tensor:
    """How far the logit of class k lies above the mean logit of all classes, (B,); the logit itself where a sample may have several
    classes.

    Else not the bare logit: what is added to all logits alike changes no probability, so it must not be in an explanation either.
    With two classes the evidence for one is that against the other.
    """
    logits_BK = member(x)
    if not member.net.task.exclusive:
        return logits_BK[:, k]
    return logits_BK[:, k] - logits_BK.mean(dim=1)


@contextlib.contextmanager
def answering(net: nn.Module) -> Iterator[None]:
    """Within the block the network is in evaluation mode and gradients are kept, none of them in its parameters."""
    training = net.training
    net.eval()
    try:
        with torch.enable_grad():
            yield
    finally:
        net.train(training)
