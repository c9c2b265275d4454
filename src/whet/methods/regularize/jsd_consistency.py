from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field

from whet.core.batch import Context, Loss, Outcome
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import WrapsLoss


class JsdConsistency(Method, WrapsLoss, family="regularize", tasks={"image-classification"}):
    """Ask for the same answer to a clean image and to two changed versions of it.

    Use when: augmix (or another strong policy) is in the recipe and robustness matters more than time.
    Do not use when: time is short: every image passes the network three times.
    Source: Hendrycks et al. 2020, arXiv:1912.02781.
    Shapes: logits (3 B, K), the clean copies first; adds weight times the Jensen-Shannon divergence of each sample's three answers.
    """

    identity = {"weight": 0.0}
    order = 60
    conflicts = frozenset({"between_class", "cutmix", "fmix", "manifold_mixup", "mixup", "mosaic", "resizemix"})

    weight: Annotated[
        float, Field(ge=0, description="factor on the divergence; the paper takes 12"), Search(1.0, 24.0, log=True)
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
            probs_CBP = probs.reshape(3, samples, -1)  # of the classes; or of yes and no, label by label
            mean_BP = probs_CBP.mean(dim=0).clamp(min=1e-7)
            divergence_B = torch.special.xlogy(probs_CBP, probs_CBP / mean_BP).sum(dim=2).mean(dim=0)
            # One value a row, as a loss gives: each copy of a sample carries the sample's own.
            return (clean_B + self.weight * divergence_B).repeat(3)

        return consistent
