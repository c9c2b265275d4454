from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from torch import Tensor

from whet.core.batch import ACCEPTED, Context, Loss, Outcome
from whet.core.method import Method, Unlabelled
from whet.core.search import Search
from whet.core.stages import WrapsLoss
from whet.methods.semi.consistency import by_sample, cross_entropy, log_outcomes
from whet.methods.semi.strong_view import STRONG, WEAK, Ratio, Strong, weak_and_strong


class FixMatch(
    Method,
    WrapsLoss,
    name="fixmatch",
    family="semi",
    tasks={"image-classification", "text-classification", "audio-classification", "semantic-segmentation"},
):
    """Train on unlabelled samples too: a confident prediction for a weak view is the target of a strong view.

    Use when: labels are few (4 to 25 a class), unlabelled samples of the same kind are many, and the training is long enough for
    confident predictions. Compare it with the same training without unlabelled samples.
    Do not use when: most unlabelled samples belong to no class, or classes occur in other shares than among the labelled samples.
    adamatch and softmatch are less sensitive to that.
    Source: Sohn et al. 2020, arXiv:2001.07685.
    Deviates: the strong augmentation is the setting `strong`. The average of the weights for prediction is the method ema. Several
    labels: each label is a decision with its own confidence. Masks: each pixel is one, and both views show the same part of the
    image, so that the strong view changes colours and sharpness only.
    Shapes: loss (B,) + weight * the mean over U = ratio B unlabelled samples of 1(max p_weak >= threshold) * cross-entropy
    (argmax p_weak, p_strong). No gradient passes through p_weak.
    """

    identity = {"weight": 0.0}
    order = 85
    conflicts = frozenset({"adamatch", "co_teaching", "mean_teacher", "softmatch"})

    weight: Annotated[
        float, Field(ge=0, description="weight of the loss of unlabelled samples"), Search(0.3, 3.0, log=True)
    ] = 1.0
    threshold: Annotated[
        float,
        Field(ge=0, lt=1, description="least probability of a prediction that is used as a target"),
        Search(0.7, 0.98),
    ] = 0.95
    ratio: Ratio = 2.0
    strong: Strong = None

    def unlabelled(self, problem: str) -> Unlabelled | None:
        return weak_and_strong(problem, self.ratio, self.strong) if self.weight else None

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        def consistent(outcome: Outcome) -> Tensor:
            if not outcome.views:
                return loss(outcome)
            return loss(outcome) + self.weight * self.unlabelled_loss(outcome).mean()

        return consistent if self.weight else loss

    def unlabelled_loss(self, outcome: Outcome) -> Tensor:
        """(U,)"""
        task: Any = outcome.batch.targets.task
        confidence, chosen = log_outcomes(outcome.views[WEAK].detach(), task).exp().max(dim=-1)
        accepted = confidence >= self.threshold
        outcome.record(ACCEPTED, accepted.float().mean())
        return by_sample(accepted * cross_entropy(outcome.views[STRONG], chosen, task), task)
