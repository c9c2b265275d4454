from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor

from whet.core.batch import Context, Loss, Outcome
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import WrapsLoss


class BootstrapLoss(
    Method, WrapsLoss, family="balance", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Believe the label for the greater part only, and the model's own answer for the rest.

    Use when: some labels are wrong, and the model is good enough to doubt them: pretrained weights, or a warm-up before.
    Do not use when: training starts from random weights and is short: it would believe its own first guesses.
    Source: Reed et al. 2015, arXiv:1412.6596.
    Shapes: targets (B, K) -> beta * targets + (1 - beta) * answer, the answer being the probabilities (soft, with their gradient,
    as in the paper) or all on the likeliest class (hard). A mixed sample is mixed with the answer to the mixture.
    """

    identity = {"beta": 1.0}
    order = 5

    beta: Annotated[
        float,
        Field(ge=0, le=1, description="share of the label; the paper takes 0.95 for soft and 0.8 for hard"),
        Search(0.6, 0.98),
    ] = 0.95
    answer: Annotated[
        Literal["soft", "hard"],
        Field(description="the model's probabilities, or its decision"),
        Search(choices=("soft", "hard")),
    ] = "soft"

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        if self.beta == 1:
            return loss

        def bootstrapped(outcome: Outcome) -> Tensor:
            targets = outcome.batch.targets
            believed_BK = self.beta * targets.probs_BK + (1 - self.beta) * self._answer(outcome)
            return loss(outcome.with_targets(targets.having(believed_BK)))

        return bootstrapped

    def _answer(self, outcome: Outcome) -> Tensor:
        task = outcome.batch.targets.task
        return task.probs(outcome.logits_BK) if self.answer == "soft" else task.decided(outcome.logits_BK)
