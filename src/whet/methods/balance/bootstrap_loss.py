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
    """Replace a fraction of each target by the model's own prediction.

    Use when: some labels are wrong, and the model is accurate enough to correct them: pretrained weights, or a warm-up before.
    Do not use when: training starts from random weights and is short. The model would then learn its own early errors.
    Source: Reed et al. 2015, arXiv:1412.6596.
    Shapes: targets (B, K) -> beta * targets + (1 - beta) * prediction. The prediction is the probabilities (soft, with their
    gradient, as in the paper) or a one-hot vector of the most probable class (hard). The target of a mixed sample is combined
    with the prediction for the mixture.
    """

    identity = {"beta": 1.0}
    order = 5

    beta: Annotated[
        float,
        Field(ge=0, le=1, description="weight of the label; the paper uses 0.95 for soft and 0.8 for hard"),
        Search(0.6, 0.98),
    ] = 0.95
    prediction: Annotated[
        Literal["soft", "hard"],
        Field(description="use the predicted probabilities (soft) or the predicted class (hard)"),
        Search(choices=("soft", "hard")),
    ] = "soft"

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        if self.beta == 1:
            return loss

        def bootstrapped(outcome: Outcome) -> Tensor:
            targets = outcome.batch.targets
            target_BK = self.beta * targets.probs_BK + (1 - self.beta) * self._prediction(outcome)
            return loss(outcome.with_targets(targets.having(target_BK)))

        return bootstrapped

    def _prediction(self, outcome: Outcome) -> Tensor:
        task = outcome.batch.targets.task
        return task.probs(outcome.logits_BK) if self.prediction == "soft" else task.decided(outcome.logits_BK)
