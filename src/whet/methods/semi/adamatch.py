from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from whet.core.batch import ACCEPTED, Context, Loss, Outcome, Progress
from whet.core.method import Method, Unlabelled
from whet.core.runtime import Runtime
from whet.core.search import Search
from whet.core.stages import Watches, WrapsLoss
from whet.methods.semi.consistency import cross_entropy
from whet.methods.semi.running_means import RunningMeans
from whet.methods.semi.strong_view import STRONG, WEAK, Ratio, Strong, weak_and_strong
from whet.models.net import Net

_LEAST = 1e-6  # of a class's share, so that a class that is never predicted does not divide by zero


class AdaMatch(
    Method,
    Watches,
    name="adamatch",
    family="semi",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Train on unlabelled samples like fixmatch, with aligned classes and a threshold relative to the confidence on labels.

    Use when: labels are few and unlabelled samples are many. It needs no tuned threshold, because confidence is compared with that
    on the labelled samples, so it also works early in training and with pretrained networks.
    Do not use when: the classes of the unlabelled samples occur in very different shares than those of the labelled ones.
    Source: Berthelot et al. 2022, arXiv:2106.04732.
    Deviates: labelled samples are seen in one view, the recipe's own. Both means of predictions are exponential with `momentum`; in
    the authors' code that of unlabelled samples is over the last 128 batches. Logits are interpolated only where BatchNorm is
    trained, because they are the same otherwise.
    Shapes: the labelled logits are z + u (z' - z), u uniform (B, K), where z are those of the joint batch and z' those of the
    labelled samples alone. p = normalize(p_weak * mean of labelled predictions / mean of unlabelled predictions). The loss (B,) +
    weight * w(t) * the mean over unlabelled samples of 1(max p >= threshold * mean_B max p_labelled) * cross-entropy(argmax p,
    p_strong), with w(t) = 1/2 - cos(min(pi, 2 pi t)) / 2 for t in 0 … 1.
    """

    identity = {"weight": 0.0}
    one_class = True
    conflicts = frozenset({"co_teaching", "fixmatch", "mean_teacher", "softmatch"})

    weight: Annotated[
        float, Field(ge=0, description="weight of the loss of unlabelled samples"), Search(0.3, 3.0, log=True)
    ] = 1.0
    threshold: Annotated[
        float,
        Field(
            ge=0, le=1, description="least confidence of a target, relative to the mean confidence on labelled samples"
        ),
        Search(0.7, 0.98),
    ] = 0.9
    momentum: Annotated[
        float, Field(ge=0, lt=1, description="decay of the means of predictions per step"), Search(0.9, 0.999)
    ] = 0.99
    ratio: Ratio = 2.0
    strong: Strong = None

    def unlabelled(self, problem: str) -> Unlabelled | None:
        return weak_and_strong(problem, self.ratio, self.strong) if self.weight else None

    def start(self, net: Net, context: Context) -> Runtime:
        return _Aligned(self, net, len(context.classes)) if self.weight else Runtime()

    def grown(self, progress: Progress) -> float:
        """The weight at this progress."""
        return self.weight * (0.5 - math.cos(min(math.pi, 2 * math.pi * progress.fraction)) / 2)


class _Aligned(Runtime, WrapsLoss):
    """The mean predictions of labelled and unlabelled samples, and the loss that uses them."""

    def __init__(self, method: AdaMatch, net: Net, num_classes: int) -> None:
        uniform_K = torch.full((num_classes,), 1 / num_classes, device=net.device)
        self._method, self._net = method, net
        self._means = RunningMeans(method.momentum, labelled=uniform_K, unlabelled=uniform_K.clone())

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        def aligned(outcome: Outcome) -> Tensor:
            if not outcome.views:
                return loss(outcome)
            outcome = self._interpolated(outcome)
            return loss(outcome) + self._method.grown(outcome.progress) * self.unlabelled_loss(outcome).mean()

        return aligned

    def _interpolated(self, outcome: Outcome) -> Outcome:
        """The labelled logits at a random place between those of the joint batch and those of the labelled samples alone."""
        norms = [m for m in self._net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]
        if not norms:
            return outcome
        with _statistics_kept(norms):
            alone_BK = outcome.forward(outcome.batch.x)
        joint_BK = outcome.logits_BK
        return outcome.with_logits(joint_BK + torch.rand_like(joint_BK) * (alone_BK - joint_BK))

    def unlabelled_loss(self, outcome: Outcome) -> Tensor:
        """(U,)"""
        task = outcome.batch.targets.task
        labelled_BK, weak_UK = (task.probs(one.detach()) for one in (outcome.logits_BK, outcome.views[WEAK]))
        labelled_K = self._means.with_batch("labelled", labelled_BK.mean(dim=0))
        unlabelled_K = self._means.with_batch("unlabelled", weak_UK.mean(dim=0))
        aligned_UK = weak_UK * (_LEAST + labelled_K) / (_LEAST + unlabelled_K)
        confidence_U, class_U = (aligned_UK / aligned_UK.sum(dim=1, keepdim=True)).max(dim=1)
        least = self._method.threshold * labelled_BK.max(dim=1).values.mean()
        accepted_U = confidence_U >= least
        outcome.record(ACCEPTED, accepted_U.float().mean())
        return accepted_U * cross_entropy(outcome.views[STRONG], class_U, task)

    def after_step(self, progress: Progress) -> None:
        self._means.commit()

    def state_dict(self) -> dict[str, Any]:
        return self._means.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._means.load_state_dict(state)


@contextlib.contextmanager
def _statistics_kept(norms: Sequence[nn.Module]) -> Iterator[None]:
    """Within the block, forward passes do not change the running statistics of these BatchNorm layers."""
    kept = [dict(norm.named_buffers()) for norm in norms]
    for norm, buffers in zip(norms, kept):
        for name, buffer in buffers.items():
            setattr(norm, name, buffer.clone())  # the tensors themselves are needed unchanged in the backward pass
    try:
        yield
    finally:
        for norm, buffers in zip(norms, kept):
            for name, buffer in buffers.items():
                setattr(norm, name, buffer)
