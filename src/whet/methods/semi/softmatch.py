from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from whet.core.batch import ACCEPTED, Context, Loss, Outcome, Progress
from whet.core.method import Method, Unlabelled
from whet.core.runtime import Runtime
from whet.core.search import Search
from whet.core.stages import Watches, WrapsLoss
from whet.methods.semi.consistency import cross_entropy
from whet.methods.semi.running_means import RunningMeans
from whet.methods.semi.strong_view import STRONG, WEAK, Ratio, Strong, weak_and_strong
from whet.models.net import Net

_LEAST = 1e-6  # of a class's share and of the variance


class SoftMatch(
    Method,
    Watches,
    name="softmatch",
    family="semi",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Train on unlabelled samples like fixmatch, but weight every target by its confidence instead of leaving out uncertain ones.

    Use when: labels are few and unlabelled samples are many, and fixmatch would use only a small part of them.
    Do not use when: the classes of the unlabelled samples occur in very different shares, because it expects equal ones.
    Source: Chen et al. 2023, arXiv:2301.10921.
    Deviates: the decay of the running means grows during training, min(momentum, (1 + t) / (10 + t)), so that a training of a few
    hundred steps forgets the initial values.
    Shapes: c = max of normalize(p_weak / mean of p_weak), (U,), where the mean is exponential. mu and var are the exponential means
    of the mean and the unbiased variance of c. The loss (B,) + weight * the mean over unlabelled samples of
    exp(-n_sigma^2 min(c - mu, 0)^2 / (2 var)) * cross-entropy(argmax p_weak, p_strong).
    """

    identity = {"weight": 0.0}
    one_class = True
    conflicts = frozenset({"adamatch", "co_teaching", "fixmatch", "mean_teacher"})

    weight: Annotated[
        float, Field(ge=0, description="weight of the loss of unlabelled samples"), Search(0.3, 3.0, log=True)
    ] = 1.0
    n_sigma: Annotated[
        float,
        Field(
            gt=0,
            description="how fast the weight falls below the mean confidence: 2 in the authors' code, 1 in the paper's text",
        ),
        Search(0.5, 4.0),
    ] = 2.0
    momentum: Annotated[
        float, Field(ge=0, lt=1, description="decay of the running means per step"), Search(0.9, 0.999)
    ] = 0.999
    ratio: Ratio = 2.0
    strong: Strong = None

    def unlabelled(self, problem: str) -> Unlabelled | None:
        return weak_and_strong(problem, self.ratio, self.strong) if self.weight else None

    def start(self, net: Net, context: Context) -> Runtime:
        return _Weighted(self, net.device, len(context.classes)) if self.weight else Runtime()


class _Weighted(Runtime, WrapsLoss):
    """The running mean of predictions, and the mean and variance of the confidence."""

    def __init__(self, method: SoftMatch, device: torch.device, num_classes: int) -> None:
        self._method = method
        uniform_K = torch.full((num_classes,), 1 / num_classes, device=device)
        mean, variance = uniform_K[0].clone(), torch.ones((), device=device)
        self._means = RunningMeans(method.momentum, predicted=uniform_K, confidence=mean, variance=variance)

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        def weighted(outcome: Outcome) -> Tensor:
            if not outcome.views:
                return loss(outcome)
            return loss(outcome) + self._method.weight * self.unlabelled_loss(outcome).mean()

        return weighted

    def unlabelled_loss(self, outcome: Outcome) -> Tensor:
        """(U,)"""
        task = outcome.batch.targets.task
        weak_UK = task.probs(outcome.views[WEAK].detach())
        predicted_K = self._means.with_batch("predicted", weak_UK.mean(dim=0))
        aligned_UK = weak_UK / (_LEAST + predicted_K)
        confidence_U = (aligned_UK / aligned_UK.sum(dim=1, keepdim=True)).max(dim=1).values
        mean = self._means.with_batch("confidence", confidence_U.mean())
        variance = self._means.with_batch("variance", confidence_U.var(correction=min(1, len(confidence_U) - 1)))
        below_U = (confidence_U - mean).clamp(max=0) * self._method.n_sigma
        weight_U = torch.exp(-below_U.square() / (2 * variance.clamp(min=_LEAST)))
        outcome.record(ACCEPTED, weight_U.mean())
        return weight_U * cross_entropy(outcome.views[STRONG], weak_UK.argmax(dim=1), task)

    def after_step(self, progress: Progress) -> None:
        self._means.commit()

    def state_dict(self) -> dict[str, Any]:
        return self._means.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._means.load_state_dict(state)
