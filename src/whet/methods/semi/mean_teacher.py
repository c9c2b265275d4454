from __future__ import annotations

import copy
import math
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from whet.core.batch import Context, Loss, Outcome, Progress
from whet.core.method import Method, Unlabelled
from whet.core.runtime import Runtime
from whet.core.search import Search
from whet.core.stages import ChoosesWeights, Watches, WrapsLoss
from whet.methods.average.moving_average import MovingAverage
from whet.methods.semi.consistency import by_sample, log_outcomes
from whet.methods.semi.strong_view import STRONG, WEAK, Ratio, Strong, weak_and_strong
from whet.models.net import Net


class MeanTeacher(
    Method,
    WrapsLoss,
    Watches,
    ChoosesWeights,
    family="semi",
    tasks={"image-classification", "text-classification", "audio-classification", "semantic-segmentation"},
):
    """Pull the predictions for unlabelled samples towards those of a teacher, the moving average of the network's weights.

    Use when: unlabelled samples are many and training is long; or several labels or masks leave few confident predictions, which
    fixmatch needs.
    Do not use when: a pretrained network is fine-tuned for a few hundred steps. The teacher then hardly differs from the network.
    Source: Tarvainen & Valpola 2017, arXiv:1703.01780.
    Deviates: the network sees the strong view of Sohn et al. 2020; with an empty list `strong` it sees another draw of the weak
    augmentation, as in the paper. Only unlabelled samples have the loss. The teacher predicts in evaluation mode, and its decay
    grows as that of the method ema.
    Shapes: loss (B,) + weight * r(t) * the mean over U = ratio B unlabelled samples of mean_K (p_strong - q_weak)^2, where q is the
    teacher's prediction and r(t) = exp(-5 (1 - t / ramp_up)^2) until `ramp_up` of the training, then 1. Several labels: their sum;
    masks: the mean over pixels, and both views show the same part of the image. The teacher's weights predict.
    """

    identity = {"weight": 0.0}
    order = 85
    conflicts = frozenset(
        {"adamatch", "co_teaching", "ema", "fixmatch", "lawa", "snapshot", "softmatch", "soup", "swa"}
    )

    weight: Annotated[
        float,
        Field(ge=0, description="weight of the loss of unlabelled samples after the ramp-up"),
        Search(1.0, 200.0, log=True),
    ] = 50.0
    decay: Annotated[float, Field(ge=0, lt=1, description="decay of the teacher per step"), Search(0.9, 0.9999)] = 0.999
    ramp_up: Annotated[
        float, Field(gt=0, le=1, description="share of the training in which the weight grows"), Search(0.1, 0.8)
    ] = 0.3
    ratio: Ratio = 2.0
    strong: Strong = None

    def unlabelled(self, problem: str) -> Unlabelled | None:
        return weak_and_strong(problem, self.ratio, self.strong, predicted=()) if self.weight else None

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        """Unchanged: the runtime wraps it, because it has the teacher."""
        return loss

    def start(self, net: Net, context: Context) -> Runtime:
        return _Teacher(net, self) if self.weight and context.unlabelled else Runtime()

    def weights(self, weights: dict[str, Tensor], runtime: Runtime, final: bool) -> dict[str, Tensor]:
        return runtime.average if isinstance(runtime, _Teacher) else weights

    def grown(self, progress: Progress) -> float:
        """The weight at this progress."""
        missing = 1 - min(1.0, progress.fraction / self.ramp_up)
        return self.weight * math.exp(-5 * missing**2)


class _Teacher(MovingAverage, WrapsLoss):
    def __init__(self, net: Net, method: MeanTeacher) -> None:
        self._method, self._teacher = method, copy.deepcopy(net).eval().requires_grad_(False)
        super().__init__(net, method.decay, dict(self._teacher.state_dict()))

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        def taught(outcome: Outcome) -> Tensor:
            more = outcome.batch.unlabelled
            if more is None:
                return loss(outcome)
            with torch.no_grad(), outcome.precision():
                teacher = self._teacher(more.views[WEAK]).float()
            distance_B = squared_distance(outcome.views[STRONG], teacher, outcome.batch.targets.task)
            return loss(outcome) + self._method.grown(outcome.progress) * distance_B.mean()

        return taught


def squared_distance(student: Tensor, teacher: Tensor, task: Any) -> Tensor:
    """The mean squared difference of the probabilities, by sample (U,), for the logits of both."""
    student, teacher = (log_outcomes(logits, task).exp() for logits in (student, teacher))
    return by_sample((student - teacher).square().mean(dim=-1), task)
