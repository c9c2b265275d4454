"""The evidence: the number that every explanation is about."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from whet.core.errors import WhetError
from whet.core.mask_task import MaskTask
from whet.models.ensemble import Member


class CannotExplain(WhetError):
    """A network that the explanation method of its medium does not support."""


def region(member: Member, x: Tensor, k: int) -> Tensor | None:
    """The cells of one image, (1, 3, H, W), that are predicted as class k: bool (h, w), all of them if there are none; None for a
    network that predicts no mask."""
    if not isinstance(member.net.task, MaskTask):
        return None
    with torch.no_grad():
        found_hw = member(x)[0].argmax(dim=0) == k
    return found_hw if found_hw.any() else torch.ones_like(found_hw)


def evidence(member: Member, x: Tensor, k: int, region_hw: Tensor | None = None) -> Tensor:
    """The logit of class k minus the mean logit of all classes, (B,); for multi-label tasks the logit itself. region_hw: for masks,
    the cells whose mean it is (Vinogradova, Dibrov, Myers 2020, arXiv:2002.11434).

    The mean is subtracted because adding a constant to all logits changes no probability, so it must not be part of an explanation.
    With two classes the evidence for one is the negative evidence for the other.
    """
    logits_BK = member(x)
    if region_hw is not None:
        each_BN = (logits_BK[:, k] - logits_BK.mean(dim=1)).flatten(1)
        return each_BN[:, region_hw.flatten()].mean(dim=1)
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
