from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field

from whet.core.batch import Context, Loss, Outcome
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import WrapsLoss


class JsdConsistency(Method, WrapsLoss, family="regularize", tasks={"image-classification"}):
    """Penalize differences between the predictions for a clean image and for two augmented versions of it.

    Use when: augmix (or another strong policy) is in the recipe and robustness matters more than time.
    Do not use when: time is short. Every image passes through the network three times.
    Source: Hendrycks et al. 2020, arXiv:1912.02781.
    Shapes: logits (3 B, K), the clean copies first. Adds weight times the Jensen-Shannon divergence of the three predictions of
    each sample.
    """

    identity = {"weight": 0.0}
    order = 60
    conflicts = frozenset({"between_class", "cutmix", "fmix", "manifold_mixup", "mixup", "mosaic", "resizemix"})

    weight: Annotated[
        float, Field(ge=0, description="factor on the divergence; the paper uses 12"), Search(1.0, 24.0, log=True)
    ] = 12.0

    @property
    def copies(self) -> int:
        return 3 if self.weight else 1

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        if self.weight == 0:
            return loss

        def consistent(outcome: Outcome) -> torch.Tensor:
            samples = len(outcome.logits_BK) // 3
            clean_B = loss(outcome.rows(samples))
            probs = outcome.batch.targets.task.log_probs(outcome.logits_BK).exp()
            probs_CBP = probs.reshape(3, samples, -1)  # over the classes, or over yes and no for each label
            mean_BP = probs_CBP.mean(dim=0).clamp(min=1e-7)
            divergence_B = torch.special.xlogy(probs_CBP, probs_CBP / mean_BP).sum(dim=2).mean(dim=0)
            # A loss has one value per row: each copy of a sample has the value of the sample.
            return (clean_B + self.weight * divergence_B).repeat(3)

        return consistent
