from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field

from whet.core.batch import Context, Loss, Outcome
from whet.core.errors import NoEffectError
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import WrapsLoss


class ClassWeight(
    Method,
    WrapsLoss,
    family="balance",
    tasks={"image-classification", "text-classification", "audio-classification", "semantic-segmentation"},
):
    """Weight the loss of each sample, or of each pixel, by its class, with larger weights for rare classes.

    Use when: classes are imbalanced and the rare ones are equally important.
    Do not use when: classes at inference are as imbalanced as in training and accuracy is the metric.
    Source: inverse frequency as in scikit-learn's "balanced"; effective number: Cui et al. 2019, arXiv:1901.05555.
    Shapes: multiplies the loss (B,) by the weight of each sample's soft target. The mean weight over the training samples is 1. A
    sample with several labels has their mean weight, and a sample without a label has weight 1. For masks, multiplies the loss of
    each pixel; the counts and the mean are those of pixels.
    """

    identity = {"scheme": "none"}
    order = 60
    conflicts = frozenset({"balanced_sampler", "balanced_softmax", "ldam_drw", "logit_adjustment"})

    scheme: Annotated[
        Literal["none", "inverse", "sqrt", "effective_number"],
        Field(
            description="1 / n, 1 / sqrt(n), or (1 - beta) / (1 - beta^n) for a class of n training samples or pixels"
        ),
        Search(choices=("inverse", "sqrt", "effective_number")),
    ] = "inverse"
    beta: Annotated[
        float, Field(gt=0, lt=1, description="beta of effective_number"), Search(choices=(0.99, 0.999, 0.9999))
    ] = 0.999

    def wrap_loss(self, loss: Loss, net: Any, context: Context) -> Loss:
        if self.scheme == "none":
            return loss
        weights_K = torch.tensor(class_weights(context.target_counts_K, self.scheme, self.beta), dtype=torch.float32)
        if torch.allclose(weights_K, torch.ones(1)):
            raise NoEffectError("every class has the same weight")

        def weighted(outcome: Outcome) -> torch.Tensor:
            targets = outcome.batch.targets
            return targets.weighted(lambda same: loss(outcome.with_targets(same)), weights_K)

        return weighted


def class_weights(counts_K: np.ndarray, scheme: str, beta: float) -> np.ndarray:
    """Weights (K,) whose mean over the training samples, or their pixels, is 1."""
    n = np.maximum(counts_K, 1).astype(float)
    raw = {"inverse": 1 / n, "sqrt": n**-0.5, "effective_number": (1 - beta) / (1 - beta**n)}[scheme]
    return raw / (raw * n).sum() * n.sum()
